"""The datasets that the core reads, as data: names, variables of the roots, layouts."""

from __future__ import annotations

from salcli.specs import DatasetSpec

__all__ = ["LAYOUTS"]

LAYOUTS = (
    DatasetSpec(
        name="folder",
        summary="your own images or clips with density maps, fixations, or both",
        factory="salcli.datasets.folder:open_folder",
        options="salcli.datasets.folder:FolderOptions",
        layout=(
            "images/NAME.jpg         the stimuli (any image format)",
            "maps/NAME.png           8-bit fixation density maps, any size, and/or",
            "fixations/NAME.mat      fixations as SALICON publishes them, or NAME.png: binary map",
            "also maps/NAME_fixMap.png, NAME_fixPts.png; 1 and 0001 count as the same name",
            "of a clip: images/NAME/ or videos/NAME.mp4, with maps/NAME/ and/or fixations/NAME/",
            "of a clip: or maps/NAME.mp4, fixations/NAME.json ([row, column] lists of each frame)",
            "of a clip: or NAME/images/, NAME/maps/, NAME/fixation/",
        ),
    ),
    DatasetSpec(
        name="pysaliency",
        summary="images with fixations, as the library pysaliency writes them",
        factory="salcli.datasets.pysaliency:open_pysaliency",
        options="salcli.datasets.holdout:HoldOutOption",
        layout=(
            "stimuli.hdf5            FileStimuli: paths of the images, relative to this file",
            "fixations.hdf5          Fixations",
        ),
    ),
    DatasetSpec(
        name="dhf1k",
        summary="DHF1K: 1000 videos, 17 observers (Wang et al. 2018)",
        factory="salcli.datasets.dhf1k:open_dhf1k",
        variable="DHF1K_DATA_DIR",
        origin="https://github.com/wenguanwang/DHF1K",
        licence="CC-BY-4.0",
        layout=(
            "video/001.AVI           the videos, and/or extracted frames:",
            "annotation/0001/images/0001.png",
            "annotation/0001/maps/0001.png",
            "annotation/0001/fixation/0001.png, or fixation/maps/0001.mat",
            "also: video/0001/, frames/1/, 0001/images/ for frames; maps/1/, fixations/1/",
        ),
    ),
    DatasetSpec(
        name="hollywood2",
        summary="Hollywood-2: shots of films with a task (Mathe and Sminchisescu 2015)",
        factory="salcli.datasets.hollywood2:open_hollywood2",
        variable="HOLLYWOOD_DATA_DIR",
        origin="https://github.com/wenguanwang/DHF1K",
        layout=(
            "training/actioncliptrain00001_1/images/actioncliptrain00001_00001.png",
            "training/actioncliptrain00001_1/maps/, fixation/    files of the same names",
            "testing/actioncliptest00001_1/                      likewise",
        ),
    ),
    DatasetSpec(
        name="ucfsports",
        summary="UCF-Sports: 150 clips, most observers with a task (Mathe and Sminchisescu 2015)",
        factory="salcli.datasets.ucfsports:open_ucfsports",
        variable="UCFSPORTS_DATA_DIR",
        origin="https://github.com/wenguanwang/DHF1K",
        layout=(
            "training/Diving-Side-005/images/Diving-Side_005_001.png",
            "training/Diving-Side-005/maps/, fixation/           files of the same names",
            "testing/Diving-Side-001/                            likewise",
        ),
    ),
    DatasetSpec(
        name="salicon",
        summary="SALICON: 20,000 images, mouse tracking (Jiang et al. 2015)",
        factory="salcli.datasets.salicon:open_salicon",
        options="salcli.datasets.salicon:SaliconOptions",
        variable="SALICON_DATA_DIR",
        origin="http://salicon.net",
        layout=(
            "images/COCO_train2014_000000000009.jpg, or images/train/",
            "maps/train/, maps/val/               COCO_....png",
            "fixations/train/, fixations/val/     COCO_....mat (or .png: binary maps)",
        ),
    ),
    DatasetSpec(
        name="mit1003",
        summary="MIT1003: 1003 images, 15 observers, ten folds (Judd et al. 2009)",
        factory="salcli.datasets.mit1003:open_mit1003",
        options="salcli.datasets.mit1003:Mit1003Options",
        variable="MIT1003_DATA_DIR",
        origin="https://people.csail.mit.edu/tjudd/WherePeopleLook/",
        layout=(
            "ALLSTIMULI/NAME.jpeg",
            "ALLFIXATIONMAPS/NAME_fixMap.jpg, NAME_fixPts.jpg",
            "(also with the folder twice: ALLSTIMULI/ALLSTIMULI/)",
            "fixations/NAME.mat      instead of fixPts, as SALICON publishes them: by observer, so",
            "                        that observers can be scored too (DATA.zip holds raw gaze, of",
            "                        which the published MATLAB code must make fixations first)",
        ),
    ),
    DatasetSpec(
        name="mit300",
        summary="MIT300: the benchmark's 300 images, ground truth withheld (Judd et al. 2012)",
        factory="salcli.datasets.mit300:open_mit300",
        variable="MIT300_DATA_DIR",
        origin="https://saliency.tuebingen.ai",
        layout=("BenchmarkIMAGES/i1.jpg ... i300.jpg",),
    ),
    DatasetSpec(
        name="diem",
        summary="DIEM: 84 videos with sound, about 50 observers (Mital et al. 2011)",
        factory="salcli.datasets.diem:open_diem",
        options="salcli.datasets.diem:DiemOptions",
        variable="DIEM_DATA_DIR",
        origin="https://thediemproject.wordpress.com",
        layout=(
            "VIDEO_1280x720/video/VIDEO_1280x720.mp4",
            "VIDEO_1280x720/event_data/OBSERVER.txt",
            "also: video_frames/DIEM/VIDEO/img_00001.jpg, annotations/DIEM/VIDEO/maps/",
        ),
    ),
    DatasetSpec(
        name="osie",
        summary="OSIE: 700 scenes, 15 observers (Xu et al. 2014)",
        factory="salcli.datasets.osie:open_osie",
        variable="OSIE_DATA_DIR",
        origin="https://github.com/NUS-VIP/predicting-human-gaze-beyond-pixels",
        licence="MIT",
        layout=(
            "images/1001.jpg",
            "maps/1001.png",
            "fixations/1001.mat      as SALICON publishes them",
        ),
    ),
    DatasetSpec(
        name="avimos",
        summary="AViMoS (AIM 2024) and NTIRE 2026: 1500 or 2000 videos with sound, mouse tracking",
        factory="salcli.datasets.avimos:open_avimos",
        options="salcli.datasets.holdout:HoldOutOption",
        variable="NTIRE_DATA_DIR",
        origin="https://github.com/msu-video-group/NTIRE26_Saliency_Prediction",
        licence="CC-BY",
        layout=(
            "TrainTestSplit.json",
            "Videos/NAME.mp4",
            "SaliencyTrain/NAME.mp4, SaliencyTest/NAME.mp4",
            "FixationsTrain/NAME/fixations.json, FixationsTest/NAME/fixations.json",
        ),
    ),
)
