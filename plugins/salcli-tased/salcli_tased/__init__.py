"""TASED-Net for salcli: sliding clips of 32 frames, ICCV 2019."""

__version__ = "0.1.0"
