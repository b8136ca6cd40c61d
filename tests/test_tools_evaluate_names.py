"""What --weights names: predictors and their seeds."""

import pytest

from ude.build.weights import Weights, named_weights
from ude.config import ConfigError


def test_predictors_are_named_by_the_word_before_the_sign_or_by_their_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=3").mkdir()
    words = [
        "outputs/teacher/",
        "our student=outputs/a=b/run",
        "depth-anything/Depth-Anything-V2-Small-hf",
        "lr=3",
        "ü(1)=x",
    ]
    with pytest.raises(ConfigError, match="'lr=3' cannot be the predictor's name: write NAME=lr=3; a name is of"):
        named_weights(words)
    words[3] = "low rate=lr=3"
    assert named_weights(words) == [
        Weights("teacher", "outputs/teacher/", "teacher"),
        Weights("our student", "outputs/a=b/run", "our student"),
        Weights(
            "Depth-Anything-V2-Small-hf", "depth-anything/Depth-Anything-V2-Small-hf", "Depth-Anything-V2-Small-hf"
        ),
        Weights("low rate", "lr=3", "low rate"),
        Weights("ü(1)", "x", "ü(1)"),
    ]


def test_the_same_name_several_times_means_seeds(tmp_path):
    found = named_weights(["student=a/run", "teacher=b/run", "student=c/run"])
    assert [(weights.name, weights.what, weights.label) for weights in found] == [
        ("student", "a/run", "student-1"),
        ("student", "c/run", "student-2"),
        ("teacher", "b/run", "teacher"),
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a/run", "b/run"], "two predictors would be called run; write NAME=b/run, and the same NAME for both if"),
        (["run=a/x", "b/run"], "two predictors would be called run; write NAME=b/run"),
        (["b/run", "run=a/x"], "two predictors would be called run; write NAME=a/x"),
        (["x=run", "x=run"], "run is named twice as x; name each seed of a predictor once"),
        (["student-1=a", "student=b", "student=c"], "two predictors would be called student-1; choose another name"),
        (["<script>=run"], "'<script>' is no predictor's name, nor is there such a path; a name is of letters"),
        (["a/b=run"], "'a/b' is no predictor's name, nor is there such a path"),
        (["..=run"], "'..' is no predictor's name"),
        (["=run"], "'' is no predictor's name"),
        (["x="], "nothing stands behind the =; write x=RUN"),
        (["outputs/<b>"], "'<b>' cannot be the predictor's name: write NAME=outputs/<b>"),
        (["/"], "cannot be the predictor's name"),
    ],
)
def test_names_that_cannot_be_are_refused_with_the_way_out(words, message):
    with pytest.raises(ConfigError) as error:
        named_weights(words)
    assert message in str(error.value)
    assert str(error.value).startswith("--weights")
    assert "\n" not in str(error.value)
