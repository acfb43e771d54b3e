"""Source taken out of zerosum: whole, small, and the same under other names."""

import ast

import pytest
import torch
from torch import nn

from zerosum.errors import UserError
from zerosum.export.source import Call, is_ours, model_source, recorded_calls, written
from zerosum.nets import mlp, r3gan, unet
from zerosum.nets.layers import Options

UNET = {"source_channels": 3, "target_channels": 1, "width": 8}


def source_of(kind, *args, **named):
    return model_source(Call(kind, args, named), title="A G", usage="x", weights="w.safetensors")


def definitions(text):
    return [
        node.name
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]


def test_only_what_is_used_is_there_and_once():
    found = definitions(source_of(mlp.Generator, (1, 8, 8), latent_size=4, hidden=(6,)))
    assert found[-1] == "load"
    assert "Generator" in found
    assert "Discriminator" not in found
    assert "blocks_in" not in found  # which only D uses
    assert len(set(found)) == len(found)


def test_names_that_two_modules_share_stay_apart():
    text = source_of(unet.Generator, (32, 32), **UNET)
    assert 'Norm = Literal["instance", "batch"]' in text
    assert 'norms_Norm = Literal["batch", "instance", "none"]' in text
    assert "norms." not in text
    assert "zerosum" not in "\n".join(
        line for line in text.splitlines() if line.startswith(("import", "from"))
    )


def test_spectral_norm_is_folded_and_not_asked_for():
    options = Options(width=8, spectral_norm=True)
    text = source_of(r3gan.Generator, (1, 16, 16), latent_size=4, options=options)
    assert "options=Options(width=8)" in text
    assert "spectral_norm=False" in source_of(
        mlp.Generator, (1, 8, 8), latent_size=4, hidden=(6,), spectral_norm=True
    )


def test_a_hostile_title_stays_words():
    call = Call(mlp.Generator, ((1, 8, 8),), {"latent_size": 4, "hidden": (6,)})
    title = '"""\nimport os\nos.abort()\n"""\\'
    text = model_source(call, title=title, usage="x", weights="w")
    assert "os" not in {name.id for name in ast.walk(ast.parse(text)) if isinstance(name, ast.Name)}
    assert "import os" not in text.splitlines()


def test_calls_are_recorded_and_classes_left_as_they_were():
    before = mlp.Generator.__init__
    with recorded_calls(mlp.Generator) as calls:
        G = mlp.Generator((1, 8, 8), latent_size=4, hidden=(6,))
    assert calls[id(G)] == Call(mlp.Generator, ((1, 8, 8),), {"latent_size": 4, "hidden": (6,)})
    with pytest.raises(ZeroDivisionError), recorded_calls(mlp.Generator):
        raise ZeroDivisionError
    assert mlp.Generator.__init__ is before


def test_whose_source_it_is():
    assert is_ours(mlp.Generator)
    assert not is_ours(nn.Linear)


def test_values_as_python_reads_them():
    assert written((1,)) == "(1,)"
    assert written(["a", None, True, 0.5]) == "('a', None, True, 0.5)"
    with pytest.raises(UserError, match="cannot be written"):
        written(torch.zeros(1))
