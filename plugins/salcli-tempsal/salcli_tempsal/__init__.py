"""TempSAL: "Uncovering Temporal Information for Deep Saliency Prediction", CVPR 2023."""

__version__ = "0.1.0"
