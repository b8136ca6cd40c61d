"""Packaging of ude: `pip install -e ".[test]"`."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent


def version() -> str:
    """The version in ude/__init__.py, read without importing the package."""
    text = (ROOT / "ude" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE).group(1)


def long_description() -> str:
    """The text of the README, empty in a tree that has none."""
    readme = ROOT / "README.md"
    return readme.read_text(encoding="utf-8") if readme.is_file() else ""


setup(
    name="ude",
    version=version(),
    description="Monocular depth that holds at night and in rain, trained without a single real night image",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    author="The ude authors",
    license="Apache-2.0",
    packages=find_packages(include=["ude", "ude.*"]),
    package_data={"ude": ["evaluation/metrics.schema.json"]},
    # nuscenes-devkit needs numpy < 2, whose wheels end at Python 3.12
    python_requires=">=3.11",
    install_requires=[
        "accelerate>=1.0",
        "diffusers>=0.42",
        "huggingface-hub>=0.34",
        "kornia>=0.9",
        "lightning>=2.6",
        "numpy>=1.26",
        "nuscenes-devkit>=1.1.11",
        "peft>=0.17",
        "pillow>=11",
        "pyyaml>=6.0.1",
        "safetensors>=0.5",
        "scikit-image>=0.24",
        "scipy>=1.11",
        "tensorboard>=2.18",
        # 2.10 closed the last known way around weights_only=True, on which reading checkpoints rests
        "torch>=2.10",
        "torchmetrics>=1.5",
        "torchvision>=0.25",
        "tqdm>=4.66",
        "transformers>=5.17",
        "yacs>=0.1.8",
    ],
    extras_require={
        "test": ["pytest>=8", "ruff>=0.14"],
        "export": ["onnx>=1.17", "onnxruntime>=1.20"],
        "app": ["gradio>=5"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Image Processing",
    ],
)
