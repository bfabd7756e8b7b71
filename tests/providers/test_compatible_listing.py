"""Lists of models in every shape that a server answers with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield import Model
from providers.wire.model_listing import fill_gaps, read_listing

SHAPES = {
    "openai": ({"object": "list", "data": [{"id": "a", "object": "model"}]}, Model("a")),
    "together": (
        [{"id": "a", "type": "chat", "display_name": "A", "context_length": 9}, {"id": "i", "type": "image"}],
        Model("a", "A", 9),
    ),
    "cohere": (
        {
            "models": [
                {"name": "a", "endpoints": ["chat"], "context_length": 9},
                {"name": "e", "endpoints": ["embed"]},
            ]
        },
        Model("a", "", 9),
    ),
    "openrouter": (
        {
            "data": [
                {
                    "id": "x/a",
                    "name": "X: A",
                    "context_length": 9,
                    "architecture": {
                        "input_modalities": ["text", "image", "file"],
                        "output_modalities": ["text"],
                    },
                    "top_provider": {"context_length": 8, "max_completion_tokens": 4},
                    "supported_parameters": ["tools", "reasoning", "max_tokens"],
                },
                {"id": "x/draw", "architecture": {"output_modalities": ["image"]}},
            ]
        },
        Model("x/a", "X: A", 9, 4, ("text", "image", "file"), reasoning=True, tools=True),
    ),
    "github": (
        [
            {
                "id": "x/a",
                "name": "A",
                "capabilities": ["reasoning", "tool-calling"],
                "limits": {"max_input_tokens": 9, "max_output_tokens": 4},
                "supported_input_modalities": ["text", "image"],
                "supported_output_modalities": ["text"],
            },
            {"id": "x/e", "supported_output_modalities": ["embeddings"]},
        ],
        Model("x/a", "A", 9, 4, ("text", "image"), reasoning=True, tools=True),
    ),
    "mistral": (
        {
            "data": [
                {
                    "id": "a",
                    "name": "a",
                    "max_context_length": 9,
                    "capabilities": {"completion_chat": True, "function_calling": True, "vision": True},
                },
                {"id": "ocr", "capabilities": {"completion_chat": False}},
            ]
        },
        Model("a", "", 9, None, ("text", "image"), tools=True),
    ),
    "groq": (
        {
            "data": [
                {"id": "a", "active": True, "context_window": 9, "max_completion_tokens": 4},
                {"id": "gone", "active": False},
                {"id": "whisper-large-v3", "active": True},
            ]
        },
        Model("a", "", 9, 4),
    ),
    "fireworks": (
        {
            "data": [
                {
                    "id": "a",
                    "supports_chat": True,
                    "supports_image_input": True,
                    "supports_tools": True,
                    "context_length": 9,
                },
                {"id": "e", "supports_chat": False},
            ]
        },
        Model("a", "", 9, None, ("text", "image"), tools=True),
    ),
    "moonshot": (
        {"data": [{"id": "a", "context_length": 9, "supports_image_in": True, "supports_reasoning": True}]},
        Model("a", "", 9, None, ("text", "image"), reasoning=True),
    ),
    "hugging face": (
        {
            "data": [
                {
                    "id": "x/a",
                    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
                    "providers": [{"context_length": 5, "supports_tools": True}, {"context_length": 9}, None],
                }
            ]
        },
        Model("x/a", "", 9, None, ("text", "image"), tools=True),
    ),
    "vercel": (
        {
            "data": [
                {
                    "id": "x/a",
                    "name": "A",
                    "type": "language",
                    "context_window": 9,
                    "max_tokens": 4,
                    "tags": ["tool-use", "vision"],
                },
                {"id": "x/e", "type": "embedding"},
            ]
        },
        Model("x/a", "A", 9, 4, ("text", "image"), tools=True),
    ),
    "venice": (
        {
            "data": [
                {
                    "id": "a",
                    "type": "text",
                    "model_spec": {
                        "availableContextTokens": 9,
                        "capabilities": {"supportsFunctionCalling": True, "supportsVision": False},
                    },
                }
            ]
        },
        Model("a", "", 9, tools=True),
    ),
    "deepinfra": (
        {"data": [{"id": "a", "metadata": {"context_length": 9, "max_tokens": 4}}]},
        Model("a", "", 9, 4),
    ),
    "vllm": ({"data": [{"id": "a", "max_model_len": 9}]}, Model("a", "", 9)),
    "llama.cpp": ({"data": [{"id": "a", "meta": {"n_ctx_train": 9}}]}, Model("a", "", 9)),
    "names alone": (["a"], Model("a")),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_understood_and_what_does_not_chat_is_left_out(shape: str) -> None:
    body, model = SHAPES[shape]
    assert read_listing(body) == (model,)


@pytest.mark.parametrize(
    "body", [None, 7, "x", {}, {"data": {}}, {"data": None, "models": "x"}, [], [None, 3, [], {}]]
)
def test_something_else_is_no_list_of_models(body: object) -> None:
    assert read_listing(body) == ()


@pytest.mark.parametrize(
    "model_id", ["bge-large", "text-embedding-3", "x/rerank-v3", "tts-1", "omni-moderation-latest"]
)
def test_models_that_do_not_chat_are_told_by_their_names_where_nothing_else_tells(model_id: str) -> None:
    assert read_listing([{"id": model_id}]) == ()


def test_ids_that_cannot_be_shown_as_they_are_are_left_out_and_each_is_given_once() -> None:
    body = [
        {"id": "a\x1b[2J"},
        {"id": "x" * 500},
        {"id": ""},
        {"id": 3},
        {"id": "ok", "name": "O\x1b]0;x\x07K"},
        {"id": "ok"},
    ]
    (model,) = read_listing(body)
    assert model.id == "ok"
    assert "\x1b" not in model.name


@pytest.mark.parametrize("value", [True, -1, 0, "9", 9.5, None])
def test_a_window_that_is_no_number_of_tokens_is_unknown(value: object) -> None:
    assert read_listing([{"id": "a", "context_length": value}])[0].context_window is None


def test_a_list_without_an_end_is_cut() -> None:
    assert len(read_listing([{"id": f"m{at}"} for at in range(20_000)])) == 5000


def test_gaps_are_filled_but_what_the_server_tells_stands() -> None:
    known = [Model("a", "A", 1, 2, ("text", "image"), reasoning=True, tools=True)]
    assert fill_gaps([Model("a", "", 9), Model("b")], known) == (
        Model("a", "A", 9, 2, ("text", "image"), reasoning=True, tools=True),
        Model("b"),
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["id", "name", "type", "data", "models", "capabilities", "architecture", "providers", "tags"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_body_breaks_the_reader(body: object) -> None:
    assert all(model.id for model in read_listing(body))
