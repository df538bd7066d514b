"""What users did, in other languages' words: single words and phrases, and signs of languages that leave no blanks."""

#: Words and phrases, their words joined by `_`, as event_words.py has the English ones.
FOREIGN_WORDS = {
    "view": (
        "ansicht", "angesehen", "produktansicht", "seitenaufruf", "vue", "vu", "consultation", "consulte", "vista",
        "visto", "visita", "visualizacion", "visualizado", "visualizacao", "visualizzazione", "visualizzato",
        "просмотр", "просмотрел", "просмотрено", "просмотрен", "görüntüleme", "görüntülendi", "wyświetlenie",
        "wyświetlono", "bekijken", "bekeken", "xem", "lihat", "dilihat", "مشاهدة",
    ),
    "add_to_cart": (
        "warenkorb", "in_den_warenkorb", "zum_warenkorb", "in_den_warenkorb_gelegt", "panier", "ajout_panier",
        "ajout_au_panier", "ajoute_au_panier", "carrito", "agregar_al_carrito", "agregado_al_carrito",
        "anadir_al_carrito", "anadido_al_carrito", "añadir_al_carrito", "añadido_al_carrito", "carrinho",
        "adicionar_ao_carrinho", "adicionado_ao_carrinho", "carrello", "aggiungi_al_carrello", "aggiunto_al_carrello",
        "корзина", "в_корзину", "добавление_в_корзину", "добавил_в_корзину", "добавлено_в_корзину", "sepet",
        "sepete_ekle", "sepete_ekleme", "sepete_eklendi", "koszyk", "do_koszyka", "dodano_do_koszyka",
        "dodanie_do_koszyka", "winkelwagen", "in_winkelwagen", "giỏ_hàng", "thêm_vào_giỏ", "thêm_vào_giỏ_hàng",
        "keranjang", "tambah_ke_keranjang",
    ),
    "purchase": (
        "kauf", "gekauft", "bestellung", "bestellt", "achat", "achete", "commande", "compra", "comprado", "comprou",
        "pedido", "acquisto", "acquistato", "ordine", "покупка", "купил", "куплено", "заказ", "заказал", "satın_alma",
        "satın_aldı", "satınalma", "sipariş", "zakup", "zakupiono", "kupiono", "zamówienie", "aankoop", "gekocht",
        "bestelling", "mua", "mua_hàng", "đặt_hàng", "beli", "pembelian", "شراء",
    ),
    "like": (
        "merkliste", "wunschliste", "favori", "favoris", "favorito", "preferito", "preferiti", "избранное",
        "в_избранное", "ulubione", "favoriet", "yêu_thích", "favorit",
    ),
    "search": (
        "suche", "gesucht", "recherche", "busqueda", "busca", "ricerca", "поиск", "arama", "wyszukiwanie", "tìm_kiếm",
        "pencarian",
    ),
    "review": (
        "bewertung", "avis", "resena", "avaliacao", "recensione", "отзыв", "ulasan",
    ),
}  # fmt: skip
#: Signs by what they say; of a text with several the first counts: what is put into a cart is not bought yet.
_SIGNS = {
    "add_to_cart": ("加购", "加購", "购物车", "購物車", "カート", "장바구니", "ตะกร้า"),
    "like": ("收藏", "お気に入り", "찜"),
    "search": ("搜索", "搜尋", "検索", "검색", "ค้นหา"),
    "share": ("分享", "공유", "シェア"),
    "review": ("评价", "評價", "评论", "レビュー", "리뷰"),
    "purchase": ("购买", "購買", "下单", "下單", "支付", "成交", "購入", "注文", "구매", "주문", "ซื้อ"),
    "view": ("浏览", "瀏覽", "点击", "點擊", "查看", "閲覧", "クリック", "조회", "클릭", "ดูสินค้า"),
}  # fmt: skip
#: What was taken away again, called off or not done.
_UNDONE = (
    "取消", "移出", "移除", "删除", "刪除", "退", "待", "未", "不", "削除", "返",
    "キャンセル", "취소", "삭제", "반품", "환불",
    "미", "ยกเลิก", "ลบ", "ยังไม่",
)  # fmt: skip


def meant_by_signs(text: str) -> str | None:
    """Our event type for a text of a language that leaves no blanks: 加入购物车; None for what was undone."""
    if any(sign in text for sign in _UNDONE):
        return None
    return next((meant for meant, signs in _SIGNS.items() if any(sign in text for sign in signs)), None)
