# ruff: noqa: E501 - lines of the exports are as long as they are
"""The forms of a dozen shops that the world knows, a few invented rows each; their mappings are in shops/*.toml."""

import gzip
import json
import shutil
import zipfile
from pathlib import Path

MAPPINGS = Path(__file__).parent / "shops"
NAMES = tuple(path.stem for path in sorted(MAPPINGS.glob("*.toml")))

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
}


def write_foreign_shop(folder: Path, name: str) -> Path:
    """Write a shop's files and its mapping into a folder; return the mapping's path."""
    folder.mkdir(parents=True, exist_ok=True)
    encoding = "latin-1" if name in ("online_retail", "movielens") else "utf-8"
    for file, text in FILES[name].items():
        archive, _, member = file.rpartition(":")
        data = text.encode(encoding)
        if archive:
            with zipfile.ZipFile(folder / archive, "a") as opened:
                opened.writestr(member, data)
        else:
            (folder / file).write_bytes(gzip.compress(data) if file.endswith(".gz") else data)
    return Path(shutil.copy(MAPPINGS / f"{name}.toml", folder / f"{name}.toml"))
