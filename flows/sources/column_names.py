"""A column's name in plain English words: without accents, cases and prepositions, out of the languages of exports."""

import re
import unicodedata

_UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "ł": "l", "Ł": "L", "ı": "i"}
)
_PREPOSITIONS = {"do", "da", "de", "del", "du", "des", "of", "the", "di"}
#: Words of languages that put the thing before what it is of: numero do pedido, nomor pesanan, номер заказа.
_NOUN_FIRST = {
    "order": "orden pedido commande ordine pesanan zamowienia zamowienie заказа заказ",
    "number": "numero nomor numer номер",
    "code": "codigo codice kode kod код",
    "date": "fecha tanggal дата",
    "time": "waktu время",
    "customer": "cliente pelanggan klient klienta клиента клиент контрагент",
    "buyer": "comprador compradora pembeli acheteur покупателя покупатель",
    "recipient": "penerima destinatario destinataire получателя получатель",
    "item": "barang",
    "product": "produto producto produit prodotto produk produktu товара товар номенклатуры номенклатура номенклатура",
    "name": "nome nombre nom nama nazwa имя название наименование",
    "quantity": "quantidade cantidad quantite quantita jumlah ilosc количество",
    "price": "preco precio prix prezzo harga cena цена",
    "value": "valor",
    "shipping": "pengiriman envio spedizione",
    "delivery": "entrega livraison доставки",
    "total": "totale сумма итого",
    "status": "statut stato situacao situacion статус estado etat durum durumu statusu",
    "category": "categoria categorie kategori kategoria категория",
    "description": "descricao descripcion descrizione deskripsi opis описание",
    "title": "titre titulo titolo titel",
    "line": "ligne linea linha riga",
    "firstname": "prenom imie",
    "lastname": "sobrenome apellido apellidos cognome nazwisko фамилия",
    "street": "rue calle rua ulica улица",
    "billing": "facturation facturacion faturamento fatturazione",
    "phone": "telefone telefono telepon telefon телефон",
    "address": "endereco direccion adresse indirizzo alamat adres адрес",
    "type": "тип tipo typ",
    "payment": "pagamento pago paiement pembayaran platnosci platnosc оплаты",
    "document": "документа",
    "currency": "moeda moneda devise valuta waluta uang валюта",
}
#: Words that these languages share with English, where they come first as well; not so in Member Número.
_SHARED = {"no", "id", "sku", "username", "email", "mail", "status", "total", "data"}
#: The same of languages without blanks between words, the longest first where one has the other within.
_UNSPACED = {
    "кол-во": "quantity", "Кол-во": "quantity", "お名前": "customer name", "コード": "code", "名称": "name",
    "注文者": "buyer", "注文日時": "order datetime", "注文日": "order date", "注文": "order", "番号": "number",
    "日時": "datetime", "日付": "date", "顧客": "customer", "会員": "member", "購入者": "buyer",
    "送付先": "recipient", "商品": "product", "数量": "quantity", "個数": "quantity", "単価": "unit price",
    "価格": "price", "合計": "total", "ステータス": "status", "カテゴリー": "category", "カテゴリ": "category",
    "電話": "phone", "住所": "address", "郵便": "postal", "メールアドレス": "email", "姓": "lastname", "名": "name",
    "订单": "order", "编号": "number", "日期": "date", "时间": "time", "客户": "customer", "用户": "user",
    "买家": "buyer", "收货人": "recipient", "单价": "unit price", "送料": "shipping", "价格": "price",
    "总价": "total", "状态": "status", "类别": "category", "类目": "category", "手机": "phone", "电话": "phone",
    "地址": "address", "邮箱": "email", "编码": "code", "号": "number",
    "주문일시": "order datetime", "주문일": "order date", "주문": "order", "번호": "number",
    "상품": "product", "코드": "code",
    "会员": "member", "會員": "member", "訂單": "order", "編號": "number", "구매자": "buyer", "수령인": "recipient",
    "휴대폰": "phone", "회원": "member", "고객": "customer", "수량": "quantity", "단가": "unit price",
    "가격": "price", "카테고리": "category",
    "브랜드": "brand", "상태": "status", "주소": "address", "전화": "phone", "이메일": "email", "명": "name",
}  # fmt: skip
#: Fields of SAP's tables of sales.
_SAP = {
    "vbeln": "order_number", "kunnr": "customer_number", "matnr": "material_number", "kwmeng": "quantity",
    "netpr": "net_price", "netwr": "line_total", "waerk": "currency", "arktx": "material_name",
    "maktx": "material_name", "matkl": "category_id", "erdat": "created_date", "erzet": "created_time",
    "name1": "contact_name", "name2": "contact_name", "stras": "street", "telf1": "phone", "pstlz": "postal_code",
}  # fmt: skip
#: Words that databases run together in capitals: SALESORDERSTATUS.
_RUN_TOGETHER = (
    "account|address|amount|billing|birthdate|birth|buyer|category|city|code|contact|country|created|creation|currency|customer|datetime"
    "|date|delivery|description|discount|email|gender|group|invoice|item|key|line|name|net|number|ordered|ordering|order|payment"
    "|phone|price|product|quantity|requested|sales|shipping|status|street|surname|symbol|text|time|total|type|unit|user|zip|id"
)
_CURRENCIES = (
    "AED|ARS|AUD|BDT|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KES|KRW|KZT|LKR|MXN|MYR|NGN|NOK"
    "|NZD|PEN|PHP|PKR|PLN|RON|RUB|SAR|SEK|SGD|THB|TL|TRY|TWD|UAH|USD|VND|ZAR"
)
#: What stands behind the name of an amount: its currency, or whether taxes are in it.
_WRITTEN_AS = re.compile(rf"(?<=\w) ?\(({_CURRENCIES}|Rp\.?|Rs\.?|[€$£¥₹]|(?i:(inc|exc)l?(uding|\.)?\b[^)]*))\)$")
#: A path to the lines of an order, before the name of what each line has: Order Lines/Quantity.
_OF_LINES = re.compile(r"(?i)^(order|invoice|sale|pos)?[ _]?(lines?|line items?)[ _]?(ids)?\s*/\s*(?=\w)")
_ENGLISH = {word: english for english, words in _NOUN_FIRST.items() for word in words.split()}
#: Words of languages that put the thing behind what it is of, as English does: Sipariş Numarası.
_NOUN_LAST = {
    "siparis": "order", "numarasi": "number", "ueruen": "product", "adi": "name", "adet": "quantity",
    "miktar": "quantity",
    "muesteri": "customer", "alici": "buyer", "tarihi": "date", "tutari": "total", "fiyati": "price", "birim": "unit",
    "satis": "sales", "stok": "stock", "kodu": "code", "barkod": "ean", "marka": "brand", "statuesue": "status",
    "indirim": "discount", "telefonu": "phone", "adresi": "address", "posta": "mail", "артикул": "article",
}  # fmt: skip


def plain_name(name: str) -> str:
    """A column's name in plain small letters: `Customer ID`, `customerId` and `customer_id:token` are customer_id.

    `Größe` is groesse, `Product(s)` products; a type behind a colon is none of the name. Words of other languages
    become English ones in English order: `Número do Pedido` and 注文番号 are order_number, so is SAP's VBELN.
    """
    name = _OF_LINES.sub("", name)
    words = plain_words(_WRITTEN_AS.sub("", re.sub(r"(?<=\w):\w+$", "", name).replace("(s)", "s")))
    if len(words) == 1 and name.isupper() and re.fullmatch(f"({_RUN_TOGETHER}){{2,}}", words[0]):
        words = re.findall(_RUN_TOGETHER, words[0])
    if len(words) == 1 and words[0] in _SAP:
        return _SAP[words[0]]
    kept = [_NOUN_LAST.get(word, word) for word in words if word not in _PREPOSITIONS] or words
    if _ENGLISH.keys() & set(kept):
        # clienteId is put together the English way.
        turned = (kept[0] in _ENGLISH or kept[0] in _SHARED) and (kept[-1] != "id" or "_" in name or " " in name)
        kept = [_ENGLISH.get(word, word) for word in (reversed(kept) if turned else kept)]
    return "_".join(kept)


def plain_words(text: str) -> list[str]:
    """The words of a text in small letters, without accents; letters that are not Latin are kept."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_UMLAUTS))
    plain = unicodedata.normalize("NFKC", re.sub("[\u0300-\u036f]", "", decomposed))
    for sign, english in _UNSPACED.items():
        plain = plain.replace(sign, f" {english} ")
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
    return [word for word in re.split(r"[\W_]+", split.casefold()) if word]
