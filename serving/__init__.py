"""The light API that answers from online features; never imports torch or prefect."""
