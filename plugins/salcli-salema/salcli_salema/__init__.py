"""SalEMA: "Simple vs complex temporal recurrences for video saliency prediction", BMVC 2019."""

__version__ = "0.1.0"
