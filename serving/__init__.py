"""ANSWER: the light API that turns a user's newest features into a slate, with a reason for each item."""
