"""Files that hold cameras and are not read here, each with the way out: which export of its program to choose."""

from __future__ import annotations

from .content import Content

_EXPORT = "in the program that wrote it, or in Blender, export the camera as .glb or .usda (or Nuke's .chan)"

_KINDS: tuple[tuple[tuple[str, ...], tuple[bytes, ...], str], ...] = (
    ((".fbx",), (b"Kaydara FBX Binary",), f"this is FBX, which is not read: {_EXPORT}"),
    ((".abc",), (b"Ogawa",), f"this is Alembic, which is not read: {_EXPORT}"),
    (
        (".nk",), (),
        "this is a Nuke script, which is not read: in Nuke open the Camera's menu, File, and write a .chan; or export "
        "the scene as .usda (WriteGeo)",
    ),
    ((), (b"PXR-USDC",), "this is binary USD: `usdcat IN --out OUT.usda` writes it as text"),
    ((".blend",), (b"BLENDER",), f"this is a Blender file, which is not read: {_EXPORT}"),
    (
        (".ma", ".mb", ".hip", ".hiplc", ".c4d", ".max", ".hfp", ".3de", ".syp"), (),
        f"this is the scene of a 3D program, which is not read: {_EXPORT}",
    ),
    (
        (".pt", ".pth", ".pkl", ".pickle", ".ckpt"), (b"\x80",),
        "this is a pickle, which may run code when it is opened and is not read: save the arrays as .npz",
    ),
    ((".psx", ".psz"), (), "this is a Metashape project: export its cameras (File, Export, Export Cameras) as .xml"),
    (
        (".h5", ".hdf5", ".mat"), (b"\x89HDF", b"MATLAB 5.0"),
        "this is HDF5 or MATLAB data, which is not read: save the matrices as .npz or .npy",
    ),
    (
        (".db",), (b"SQLite format 3",),
        "this is COLMAP's database, which holds no poses: name the folder of a model (sparse/0)",
    ),
    (
        (".xmp",), (),
        "these are sidecars of RealityCapture: export \"Internal/External camera parameters\" as .csv instead",
    ),
    ((".nvm",), (b"NVM_V3",), "this is VisualSFM's, which is not read: save it as Bundler's bundle.out"),
    ((".srt", ".gpx", ".kml"), (), "this holds places of a flight and no cameras: solve the video for its cameras"),
    ((".aep",), (), "this is an After Effects project: select the camera's keys, copy them, and save the text"),
)  # fmt: skip


def way_out(content: Content) -> str:
    """One sentence on how to get at the cameras of a file of another program; "" for a file of no known one."""
    if content.is_folder:
        return _lacking(content)
    return next(
        (words for endings, marks, words in _KINDS if content.suffix in endings or content.head.startswith(marks)), ""
    )


def _lacking(content: Content) -> str:
    """That a folder holds half of a COLMAP model; "" for any other."""
    for ending in ("txt", "bin"):
        found = [name for name in ("cameras", "images") if f"{name}.{ending}" in content.files]
        if len(found) == 1:
            missing = "images" if found == ["cameras"] else "cameras"
            return f"a COLMAP model has cameras.{ending} and images.{ending}, {missing}.{ending} is missing here"
    return ""
