# ruff: noqa: E501 - lines of the exports are as long as they are
"""The forms of a score of shops that the world knows, a few invented rows each; their mappings are in shops/*.toml."""

import gzip
import json
import shutil
import zipfile
from pathlib import Path

MAPPINGS = Path(__file__).parent / "shops"
NAMES = tuple(path.stem for path in sorted(MAPPINGS.glob("*.toml")))

ENCODINGS = {"online_retail": "latin-1", "movielens": "latin-1", "warenwirtschaft": "cp1252", "baskets": "utf-16"}
#: Shop → file name → text. Names ending in .gz and .zip are packed.
FILES: dict[str, dict[str, str]] = {
    "online_retail": {
        "online_retail_II.csv": """Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country
536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,12/1/2010 8:26,2.55,17850.0,United Kingdom
536365,71053,WHITE METAL LANTERN,6,12/1/2010 8:26,3.39,17850.0,United Kingdom
536365,71053,WHITE METAL LANTERN,6,12/1/2010 8:26,3.39,17850.0,United Kingdom
C536379,85123a,WHITE HANGING HEART T-LIGHT HOLDER,-1,12/1/2010 9:41,2.55,14527.0,United Kingdom
536414,22139,,56,7/1/2011 11:52,0.0,,United Kingdom
536544,21773,DECORATIVE ROSE BATHROOM BOTTLE £5,1,7/1/2011 14:32,2.51,,EIRE
536544,21774,"CAFÉ SIGN, ""BLUE"" ",2,7/1/2011 14:32,"1,012.51",,EIRE
536544,85123A,WHITE HANGING HEART T-LIGHT HOLDER,1,7/1/2011 14:32,5.06,,EIRE
"""
    },
    "instacart": {
        "orders.csv": """order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order
1,9,prior,1,2,08,
2,9,prior,2,3,07,15.0
3,9,train,3,3,12,21.0
4,8,prior,1,5,23,
""",
        "order_products__prior.csv": "order_id,product_id,add_to_cart_order,reordered\n1,196,1,0\n1,14,2,0\n2,196,1,1\n4,14,1,0\n",
        "order_products__train.csv": "order_id,product_id,add_to_cart_order,reordered\n3,196,1,1\n",
        "products.csv": 'product_id,product_name,aisle_id,department_id\n196,Soda,77,7\n14,"Curd, \\""plain\\""",84,16\n',
        "aisles.csv": "aisle_id,aisle\n77,soft drinks\n84,milk\n",
        "departments.csv": "department_id,department\n7,beverages\n16,dairy eggs\n",
    },
    "hm": {
        "transactions_train.csv": """t_dat,customer_id,article_id,price,sales_channel_id
2018-09-20,000058a12d5b,0663713001,0.0508,2
2018-09-20,000058a12d5b,0541518023,0.0304,2
2018-09-20,000058a12d5b,0541518023,0.0304,2
2019-03-31,00007d2de826,0505221004,0.0152,1
""",
        "articles.csv": """article_id,product_code,prod_name,product_type_name,product_group_name,index_group_name,detail_desc
0663713001,663713,Atlanta Push Body,Body,Underwear,Ladieswear,"Lace push-up body, with ""soft"" cups."
0541518023,541518,Rae Push,Bra,Underwear,Ladieswear,
0505221004,505221,Jumper,Sweater,Garment Upper body,Menswear,Jumper in rib-knit
""",
        "customers.csv": """customer_id,FN,Active,club_member_status,fashion_news_frequency,age,postal_code
000058a12d5b,,,ACTIVE,NONE,49.0,52043e
00007d2de826,,,ACTIVE,Regularly,,2973ab
""",
    },
    "retailrocket": {
        "events.csv": """timestamp,visitorid,event,itemid,transactionid
1433221332117,257597,view,355908,
1433224214164,992329,addtocart,248676,
1433222276276,599528,transaction,356475,4000
""",
        "item_properties_part1.csv": """timestamp,itemid,property,value
1435460400000,355908,categoryid,1338
1441508400000,355908,790,n7200.000
1442113200000,355908,790,n7900.000
1442113200000,355908,available,1
""",
        "item_properties_part2.csv": """timestamp,itemid,property,value
1435460400000,248676,categoryid,213
1435460400000,248676,available,0
1435460400000,356475,categoryid,9999
""",
        "category_tree.csv": "categoryid,parentid\n1338,213\n213,\n",
    },
    "olist": {
        "archive.zip:olist_orders_dataset.csv": """"order_id","customer_id","order_status","order_purchase_timestamp"
"o1","c1","delivered","2017-10-02 10:56:33"
"o2","c2","canceled","2018-02-17 23:30:00"
""",
        "archive.zip:olist_order_items_dataset.csv": """"order_id","order_item_id","product_id","price","freight_value"
"o1",1,"p1",29.99,8.72
"o1",2,"p1",29.99,8.72
"o2",1,"p2",118.70,22.76
""",
        "archive.zip:olist_customers_dataset.csv": """"customer_id","customer_unique_id","customer_city"
"c1","u1","são paulo"
"c2","u1","são paulo"
""",
        "archive.zip:olist_order_reviews_dataset.csv": """"review_id","order_id","review_score","review_comment_message","review_creation_date"
"r1","o1",4,"Chegou bem,
antes do ""prazo"".",2017-10-11 00:00:00
"r2","o2",1,"",2018-02-20 00:00:00
""",
        "archive.zip:olist_products_dataset.csv": '"product_id","product_category_name"\n"p1","beleza_saude"\n"p2",""\n',
        "archive.zip:product_category_name_translation.csv": "\ufeffproduct_category_name,product_category_name_english\nbeleza_saude,health_beauty\n",
    },
    "amazon": {
        "reviews_1.jsonl.gz": json.dumps(
            {
                "rating": 5.0,
                "title": "Nice",
                "text": "Smells good.",
                "parent_asin": "B1",
                "user_id": "AG",
                "timestamp": 1588687728923,
            }
        )
        + "\n"
        + json.dumps(
            {
                "rating": 1.0,
                "title": "Bad",
                "text": "No.",
                "parent_asin": "B2",
                "user_id": "AH",
                "timestamp": "2020-05-05T14:08:48",
            }
        ),
        "meta.json": json.dumps(
            [
                {
                    "parent_asin": "B1",
                    "title": "Rose spray",
                    "description": ["A spray.", "Of roses."],
                    "price": 12.5,
                    "store": "Rosy",
                    "categories": ["Beauty", "Scent"],
                    "images": [{"large": "https://x/1.jpg"}],
                },
                {
                    "parent_asin": "B2",
                    "title": "Comb",
                    "description": [],
                    "price": None,
                    "store": None,
                    "categories": [],
                    "images": [],
                },
            ]
        ),
    },
    "movielens": {
        "ratings.dat": "1::1193::5::978300760\n1::661::3::978302109\n2::661::4::978302268\n",
        "movies.dat": '661::James and the "Giant" Peach (1996)::Animation|Children\'s\n1193::Amélie (2001)::Comedy\n',
    },
    "diginetica": {
        "train-item-views.csv": """sessionId;userId;itemId;timeframe;eventdate
1;NA;81766;526309;2016-05-09
1;NA;31331;1031018;2016-05-09
2;7;32118;243569;2016-05-10
""",
        "train-purchases.csv": "sessionId;userId;timeframe;eventdate;ordernumber;itemId\n2;7;300000;2016-05-10;17;32118\n",
        "products.csv": "itemId;pricelog2;product.name.tokens\n81766;10;4875,776\n31331;9.5;1\n32118;11;2\n",
        "product-categories.csv": "itemId;categoryId\n81766;8\n32118;9\n",
    },
    "yoochoose": {
        "yoochoose-clicks.dat": """1,2014-04-07T10:51:09.277Z,214536502,0
1,2014-04-07T10:54:09.868Z,214536500,S
2,2014-04-07T13:56:37.614Z,214662742,3
""",
        "yoochoose-buys.dat": "2,2014-04-07T14:00:00.000Z,214662742,12462,1\n3,2014-04-08T01:00:00.000Z,214821277,0,0\n",
    },
    "taobao": {
        "UserBehavior.csv.zip:UserBehavior.csv": """1,2268318,2520377,pv,1511544070
1,2268318,2520377,pv,1511544070
1,2333346,2520771,fav,1511561733
2,2576651,149192,cart,1511572885
2,2576651,149192,buy,1511572999
"""
    },
    "tafeng": {
        "ta_feng_all_months_merged.csv": """\ufeff"TRANSACTION_DT","CUSTOMER_ID","AGE_GROUP","PRODUCT_SUBCLASS","PRODUCT_ID","AMOUNT","SALES_PRICE"
"11/1/2000","01104905  ","45-49","110411","4710199010372","2","24"
"2000-11-02 00:00:00","01104905  ","45-49","110411","4710199010372","1","12"
"13/1/2000","00418683  ","45-49","120107","4710857472535","1","48"
"11/1/2000","00418683  ","45-49","120107","4710857472535","1","48"
"""
    },
    "dunnhumby": {
        "transaction_data.csv": """household_key;BASKET_ID;DAY;PRODUCT_ID;QUANTITY;SALES_VALUE;RETAIL_DISC;TRANS_TIME
2375;26984851472;1;1004906;1;1,39;-0,60;1631
2375;26984851472;1;1033142;2;1.100,82;0;1631
13;26984896261;200;1033142;1;0,5;0;31
13;26984896262;200;1004906;0;0;0;31
""",
        "product.csv": """PRODUCT_ID;MANUFACTURER;DEPARTMENT;COMMODITY_DESC;SUB_COMMODITY_DESC
1004906;69;PRODUCE;POTATOES;POTATOES RUSSET
1033142;2;GROCERY;FRZN ICE;
""",
    },
    "otto": {
        "otto-recsys-train.jsonl": """{"session":0,"events":[{"aid":1517085,"ts":1659304800025,"type":"clicks"},{"aid":1563459,"ts":1659304904511,"type":"carts"}]}
{"session":1,"events":[{"aid":1517085,"ts":1659304900511,"type":"clicks"},{"aid":1517085,"ts":1659305000000,"type":"orders"}]}
"""
    },
    "shopify": {
        "orders_export_1.csv": """Name,Email,Financial Status,Paid at,Currency,Subtotal,Total,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem compare at price,Lineitem sku,Billing Street,Vendor,Id
#1001,ann@example.com,paid,2022-01-05 10:11:20 -0500,USD,30.00,35.00,2022-01-05 10:11:12 -0500,2,Birch Mug - S,12.50,,MUG-S,"1 Main St,
Apt 2",Aurora,4500001
#1001,ann@example.com,,,,,,2022-01-05 10:11:12 -0500,1,Gift wrap,5.00,,,,Aurora,
#1002,bo@example.com,refunded,2022-07-05 23:00:00 -0400,USD,12.50,17.50,2022-07-05 22:59:00 -0400,1,Birch Mug - S,12.50,,MUG-S,2 Main St,Aurora,4500002
"""
    },
    "warenwirtschaft": {
        "Umsätze 2022.csv": """Umsatzbericht Filiale 3
Belegdatum;Uhrzeit;Beleg-Nr.;Kundennr.;Artikelnr.;Bezeichnung;Warengruppe;Menge;Einzelpreis;Gesamtbetrag;Währung;
02.01.2022;09:15;R01;10001;000219;"Müsli „Spezial“";Frühstück;12;1.006,81 €;12.081,72 €;EUR;
02.01.2022;09:15;R01;10001;000690;Öl;Öle;2;12,53 €;25,06 €;EUR;
31.07.2022;18:40;R02;;000690;Öl;Öle;-1;12,53 €;-12,53 €;EUR;
"""
    },
    "analytics": {
        "ga4_events.json.gz": """{"event_date":"20201101","event_timestamp":"1604203161580301","event_name":"page_view","event_params":[{"key":"ga_session_id","value":{"int_value":"77"}}],"user_pseudo_id":"1026454.4271112504","ecommerce":null,"items":[]}
{"event_date":"20201101","event_timestamp":"1604203170580301","event_name":"view_item","event_params":[{"key":"ga_session_id","value":{"int_value":"77"}}],"user_pseudo_id":"1026454.4271112504","ecommerce":null,"items":[{"item_id":"GGO1","item_name":"Mug","item_category":"Home/Kitchen","price":9.5,"quantity":null}]}
{"event_date":"20201101","event_timestamp":"1604203180580301","event_name":"view_search_results","event_params":[{"key":"search_term","value":{"string_value":"red lamp"}},{"key":"ga_session_id","value":{"int_value":"77"}}],"user_pseudo_id":"1026454.4271112504","ecommerce":null,"items":[]}
{"event_date":"20201101","event_timestamp":"1604203190580301","event_name":"purchase","event_params":[{"key":"ga_session_id","value":{"int_value":"77"}}],"user_pseudo_id":"1026454.4271112504","ecommerce":{"transaction_id":"T1"},"items":[{"item_id":"GGO1","item_name":"Mug","item_category":"Home/Kitchen","price":9.5,"quantity":2},{"item_id":"GGO2","item_name":"Lamp","item_category":"Home","price":30,"quantity":1}]}
"""
    },
    "steam": {
        "steam_reviews.json.gz": """{'username': "play'r", 'hours': 10.5, 'product_id': '440', 'date': '2017-12-17', 'text': u'She said "no"\\\\nfine', 'early_access': False, 'user_id': '76561198', 'found_funny': None}
{u'username': u'bo', u'hours': 1.0, u'product_id': u'730', u'date': u'2017-12-18', u'text': u"It's good", u'early_access': True, u'user_id': u'76561199'}
""",
        "steam_games.json.gz": """{'publisher': 'Koto', 'genres': ['Action', 'Indie'], 'app_name': "Harbor's End", 'price': 4.99, 'id': '440', 'developer': 'Koto'}
{u'publisher': u'Koto', u'genres': [u'Sports'], u'app_name': u'Ball', u'price': u'Free To Play', u'id': u'730'}
""",
    },
    "thelook": {
        "order_items.csv": """id,order_id,user_id,product_id,inventory_item_id,status,created_at,returned_at,sale_price
1,1,7,3,11,Complete,2022-01-05 10:11:12.123456 UTC,,20.5
2,1,7,1,12,Complete,2022-01-05 10:11:12 UTC,,9.0
3,2,8,3,13,Returned,2022-02-05 10:11:12 UTC,2022-02-09 10:00:00 UTC,20.5
4,3,8,1,14,Cancelled,2022-03-05 10:11:12 UTC,,9.0
""",
        "orders.csv": "order_id,user_id,status,created_at,num_of_item\n1,7,Complete,2022-01-05 10:11:12 UTC,2\n2,8,Returned,2022-02-05 10:11:12 UTC,1\n3,8,Cancelled,2022-03-05 10:11:12 UTC,1\n",
        "products.csv": "id,cost,category,name,brand,retail_price,department,sku\n1,4.5,Socks,Wool socks,Aurora,9.0,Men,0A1B\n3,10.1,Jeans,Blue jeans,Bex,20.5,Women,0A1C\n2,10.1,Jeans,Red jeans,Bex,21.5,Women,0A1D\n",
        "users.csv": "id,first_name,email,age,gender,city,created_at\n7,Ann,ann@example.com,31,F,Rio,2021-01-01 00:00:00 UTC\n8,Bo,bo@example.com,44,M,Rio,2021-01-02 00:00:00 UTC\n",
    },
    "baskets": {
        "baskets.txt": """Date\tTime\tReceipt No\tMember Número\tItems
01/02/2023\t12:54:00 AM\t1\t505.0\tGreen tea; Bread; Green tea
14/02/2023\t1:05:30 PM\t2\t-\tBread
"""
    },
}


def write_foreign_shop(folder: Path, name: str) -> Path:
    """Write a shop's files and its mapping into a folder; return the mapping's path."""
    folder.mkdir(parents=True, exist_ok=True)
    encoding = ENCODINGS.get(name, "utf-8")
    for file, text in FILES[name].items():
        archive, _, member = file.rpartition(":")
        data = text.encode(encoding)
        if archive:
            with zipfile.ZipFile(folder / archive, "a") as opened:
                opened.writestr(member, data)
        else:
            (folder / file).write_bytes(gzip.compress(data) if file.endswith(".gz") else data)
    return Path(shutil.copy(MAPPINGS / f"{name}.toml", folder / f"{name}.toml"))
