"""Reads every file below a folder with pydicom, all elements, and says which cannot be read or is not marked."""

import pathlib
import sys
import warnings

import pydicom

warnings.simplefilter("ignore")
bad = []
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.dcm")):
    try:
        data = pydicom.dcmread(path)
        for _ in data.iterall():
            pass
        if data.get("PatientIdentityRemoved") != "YES":
            bad.append(f"{path.name}: not marked")
        if data.file_meta.MediaStorageSOPInstanceUID != data.SOPInstanceUID:
            bad.append(f"{path.name}: another UID in the file meta group")
    except Exception as error:
        bad.append(f"{path.name}: {type(error).__name__}: {error}")
print("\n".join(bad))
sys.exit(bool(bad))
