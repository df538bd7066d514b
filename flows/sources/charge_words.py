"""What tills and invoices call a line that is no thing: what its sending costs, a fee, money off, a correction."""

_HOW = "dotcom|express|standard|economy|priority|next[ -]day|free|local|home|international|domestic|extra"
_SENDING = (
    "postage|shipping|delivery|carriage|freight|versand|porto|lieferung|livraison|envio|envío|frete|spedizione|verzending"
    "|wysylka|wysyłka|kargo|доставка|送料|运费|運費|배송비"
)
_FEE = "fees?|charges?|costs?"
#: A regular expression that all of such a line's name matches, in small letters.
CHARGES = (
    f"(({_HOW}) )?({_SENDING})((,? and| &) (packing|packaging|handling))?( ({_FEE}))?"
    f"|(bank|service|card|payment|transaction|handling|booking|processing|amazon|ebay|paypal) ?({_FEE})"
    "|(versand|liefer|verzend)(kosten|pauschale)|frais de (port|livraison)|gastos de env[ií]o|spese di spedizione"
    "|(taxa|valor) d[eo] (entrega|frete)|koszty? wysy[lł]ki|стоимость доставки"
    "|((order|cart|manual|member) )?discounts?|rabatt|remise|desconto|descuento|sconto|korting|скидка"
    "|adjust(ment)?s?( bad debt| by .*)?|bad debt|manual( adjustment)?|rounding( adjustment)?|(sales )?tax|vat|tips?"
    "|gratuity|([^ ]+ )?commission"
)
