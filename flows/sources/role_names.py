"""How exports call the columns of each role: patterns over plain names, and which of those go behind the others."""

THING = (
    "(item|product|produkt|produit|prodotto|produto|producto|sku|article|articulo|articolo|artigo|artikel|stock|asin"
    "|movie|film|book|track|song|video|game|recipe|anime|beer|wine|listing|goods|isbn|ean|upc|gtin|variant|material"
    "|prod|line_?item|aid)"
)
PERSON = (
    "(user|customer|client|visitor|member|household|shopper|buyer|reviewer|author|account|cust|consumer|kunden?|klant"
    "|client|cliente|card|profile|(?<!sales)(?<!sales_)person)"
)
#: People of whom only an id is meant: a student is one, and may as well be a price.
_OTHER_PERSON = "(student|learner|subscriber|patient|passenger|player|viewer|listener)"
_ID = "(id|code|no|nr|nbr|num|number|key|sku|asin|nummer|numero|hash|codigo|codice)"
BASKET = (
    "(order|invoice|basket|transaction|txn|trx|receipt|bill|ticket|bon|beleg|rechnung|bestellung|bestell|auftrags?|facture"
    "|commande|pedido|factura|ordine|fattura)"
)
#: Kinds of columns that hold numbers, and times.
NUMBERS = ("whole", "number", "comma_number", "grouped_number")
TIMES = ("time", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
#: Kinds that an id may have: one of 19 digits can look like a time in nanoseconds.
_WORDS = ("text", "whole", "number", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
_DAY = "(time|timestamp|tstamp|time_stamp|datetime|date|at|dt|ts|datum|zeit|fecha|data|date_time)"
#: Role → name patterns, the surest first → kinds that a column of the role may have.
NAMES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "user_id": (
        (f"^{PERSON}_(unique|pseudo|reference|ref)_{_ID}$",
         f"^{PERSON}_?{_ID}?$|^(customer|kunden|member|loyalty|club|bonus)_?(card|karte)(_?{_ID})?$",
         f"^uid$|{PERSON}_?{_ID}(_hash)?$|^(id|code|key)_{PERSON}$|^{_OTHER_PERSON}_?{_ID}$",
         "^(anonymous|distinct|cookie|device|fullvisitor)_?id$",
         "^((contact|from|payer|order|account)_)?e_?mail(_(address|billing|customer))*$|(customer|user|client|billing|delivery|shipping|recipient|buyer|profile|person)_e?_?mail(_address)?$",
         "(profile|user|reviewer|nick|member|customer|buyer|client)_?name$|(^|user_)screen_?name$"),
        _WORDS,
    ),
    "item_id": (
        (f"^(parent_)?{THING}_?{_ID}$|^(id|code|key)_{THING}$", f"^(parent_)?{THING}s?$",
         f"{THING}_?{_ID}(_hash)?$|(^|_)(sku|asin|ean|gtin|upc|isbn)$",
         f"^{THING}_?(name|desc|description|bezeichnung|purchased|bought|sold)$|^(?!.*(device|mobile|phone)).*_model$"),
        _WORDS,
    ),
    "event_time": (
        (f"^(event|order(ed)?|invoice|purchase|transaction|order_purchase|created|sold|trans|rental|beleg|bestell)_?{_DAY}$",
         f"^{_DAY}(_epoch)?(_(s|ms|us|ns|utc))?$|^(order|sold|purchas|creat|plac)ed_on$|^date_(add|order|creat|purchas)(ed)?$",
         f"purchase.*(time|date)|(^|_)({_DAY}|day|dat)(_epoch)?(_(s|ms|us|utc))?$|(date|datum)$", ".*"),
        TIMES,
    ),
    "event_type": (
        ("^(event|action|behaviou?r|activity|interaction|metric)(_?(type|name))?$", "type$|^event|action"),
        _WORDS,
    ),
    "session_id": (
        ("session_?(id|key|hash|token|uuid)?$|^visit(_?id)?$|^id_visit$|^session(?!.*(idx|index|number|num|count|cnt)$)",
         "session(?!.*(idx|index|number|num|count|cnt)$)"),
        _WORDS,
    ),
    "basket_id": (
        (f"^{BASKET}_?{_ID}$", f"^{BASKET}$",
         f"{BASKET}_?(increment_)?({_ID}|reference|ref)$|^increment_id$|^{_ID}_{BASKET}$", f"^cart(_?{_ID})?$"),
        _WORDS,
    ),
    "quantity": (
        ("^(line_?item_|item_|order_)?(qty|quantity|units|pieces|menge|anzahl|stueck|cantidad|quantite|quantita)$",
         "qty|quantity|(anzahl|menge)$|^(item|product)_count$|^units?_(sold|sales)$"
         "|^(?!.*(volume|amount|date|price|value|sales))\\w+s_sold$", "^amount$|^count$"),
        NUMBERS,
    ),
    "unit_price": (
        ("^(unit_?|(order_)?line_?(item_?)?|einzel|item_?)?(price|preis)$|^(line_?)?item_?cost$|(^|_)(preis_einzel|(einzel|stueck|vk|verkaufs|netto|brutto)_?preis|vk|price_each)(_(netto|brutto))?$"
         "|^preis_((pro|je)_stueck|netto|brutto)$",
         "^(?!.*(\\blog|_log|log_?\\d|rate|range|bucket|tier|level|cost|buy|wholesale)).*(unit_?price|^price|price_per_(unit|item|piece)|(^|_)price(_amount)?$)"
         "|^(product|item|unit)_value$|^(prix|precio|prezzo|preco)|^(msrp|rrp|srp|uvp)(_|$)"),
        NUMBERS,
    ),
    "line_total": (
        ("^(line_?|sub_?)?total$|^(zeilen|positions?)_?(summe|wert|netto|brutto)|^summe$|^sales_(value|price|amount)$|^revenue$|umsatz|^(net_|gross_)?sales$|gesamt|betrag"
         "|^spend$|^dollar_sales$|^sold_for$|^tot(al)?_(sales|price|amount)$|^purchase(_?amount|$)|^store_sales$"
         "|^sales?(_(dollars|usd|eur|amount|value|total))?$|^line_?amount$",
         "^(?!.*(shipping|tax|discount|refund|cost|order|cart|invoice|grand|fee)).*(total|revenue)(_(amount|price|value))?$|^amount"),
        NUMBERS,
    ),
    "discount": (
        ("^(?!.*(before|after|without|excl|incl))(?!.*discount(ed)?_(unit_?)?(price|total|sub_?total))"
         "(discount|rebate|rabatt|.*_disc(ount)?$)",),
        NUMBERS,
    ),
    "currency": (("^currency|^ccy$|_currency$|^waehrung|^devise$|^moneda$|^valuta$",), ("text",)),
    "rating": (("^(rating|stars|score|overall|review_score)$", "_rating$"), NUMBERS),
    "text": (
        ("^(query|search(_(term|query|text))?|reviews?_(text|body|content|comment_message)|review|text|comment)$",),
        ("text",),
    ),
    "status": (("(^|_)(status|state|situation)$",), ("text",)),
    "title": (
        (f"^({THING}|app)_?(title|name|bezeichnung)$|^title$",
         f"^((properties|products|items|line_items)_)?name$|(^|_)line_?(title|name)$|_{THING}_?(title|name)$",
         "^description$|^(item|product)_?(desc(ription)?|detail)$|^bezeichnung$|^(nombre|nom|nome|titre|titulo|titel)$",
         "^(menu_)?(item|product|produkt|produit|prodotto|article|artikel|articulo)$"),
        ("text",),
    ),
    "description": (
        ("^(detail_)?desc(ription)?$|_desc$|^description$", "^features$", f"^{THING}_?description$"),
        ("text", "list"),
    ),
    "category": (
        ("^categor(y|ies)(_?(name|code|path|name_english))?$|_categor(y|ies)(_name)?(_english)?$",
         "^(department|aisle|genres?|subclass|product_subclass|index_group_name|product_group_name|product_type_name)$",
         "^category_?id$|department_desc|commodity|^department|class$"),
        ("text", "list", "whole"),
    ),
    "brand": (
        ("^brand(_name)?$|^(?!.*(card|pay)).*_brand$",
         "^brand(?!.*(card|pay))|^(manufacturer|vendor|maker|publisher|store|marke|hersteller|producent)(_name)?$"),
        ("text", "whole"),
    ),
    "image": (("image|img|picture|photo",), ("text",)),
}  # fmt: skip
#: What the parts of a price, of a kind and of a picture are called.
OF_OBJECTS = r"^(category|price|image)_(l\d|level_?\d|name|amount|value|src|url)$"
#: Roles of which two name patterns are sure.
TWO_SURE = ("user_id", "item_id", "basket_id")
#: What a thing was to cost, which need not be what was paid.
LIST_PRICE = "(^|_)(original|list|regular|old|full|before|awal|rrp|msrp|srp|uvp)(_|$)"
#: Role → names that go behind the others of the role that are named as well, each group behind the one before.
BEHIND: dict[str, tuple[str, ...]] = {
    "user_id": ("^(anonymous|fullvisitor)", "^cookie", "^device", "^card"),
    "unit_price": (
        "^(price|preis)$",
        LIST_PRICE,
    ),
    "line_total": ("price$",),
}
#: Times that are not those of the deed: when rows were written, or what was due.
LATER_TIMES = (
    "(^|_)(etl|load|upload|process|receiv|sync|modif|updat|ship|deliver|due_|due$|request|requir|estimat|expir|cancel)"
)
