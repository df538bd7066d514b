"""How a price is written: with the decimals of its currency. The terminal and the storefront write the same."""

#: Currencies whose smallest coin is not a hundredth (ISO 4217): how many decimals their prices have.
_ZERO = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
_THREE = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_DECIMALS = dict.fromkeys(_ZERO, 0) | dict.fromkeys(_THREE, 3)


def price_digits(price: float | None, currency: str | None) -> str:
    """Return a price as people write it in its currency, without its sign; nothing for one that would read as 0."""
    decimals = _DECIMALS.get(currency or "", 2)
    if price is None:
        return ""
    if decimals == 0 and price != round(price):
        decimals = 2  # a shop that tells parts of a yen means them
    return f"{price:,.{decimals}f}" if round(price, decimals) > 0 else ""
