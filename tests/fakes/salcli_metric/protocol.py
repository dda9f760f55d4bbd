from salcli.authoring import Preparation, Protocol, Variant

PEAKS = Protocol(
    name="peaks",
    version="1",
    summary="twice the peak",
    source="a test",
    preparation=Preparation("bilinear"),
    variants=(Variant("peak", {"factor": 2.0}),),
    averaging=("frames",),
    files="salcli_metric.protocol:files",
)


def files(document):
    return {"peaks.txt": str(document["scores"]["peak"]["images"]["mean"]).encode()}
