"""The main job with two clients of the Python world: pynetdicom pushes, dicomweb-client finds and reads.

Usage: main_job.py URL TOKEN HOST PORT
"""

import sys

import numpy
import pydicom
from dicomweb_client.api import DICOMwebClient
from pydicom.data import get_testdata_file
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification

url, token, host, port = sys.argv[1:5]
original = pydicom.dcmread(get_testdata_file("CT_small.dcm"))

ae = AE(ae_title="MODALITY")
ae.add_requested_context(Verification)
ae.add_requested_context(CTImageStorage, original.file_meta.TransferSyntaxUID)
association = ae.associate(host, int(port), ae_title="ISOCENTER")
assert association.is_established, "association refused"
assert association.send_c_echo().Status == 0x0000
status = association.send_c_store(original).Status
assert status == 0x0000, hex(status)
association.release()

wrong = ae.associate(host, int(port), ae_title="SOMEBODYELSE")
assert wrong.is_rejected, "an unknown called AE title must be rejected"
assert (wrong.acceptor.primitive.result, wrong.acceptor.primitive.result_source) == (1, 1)
assert wrong.acceptor.primitive.diagnostic == 7, wrong.acceptor.primitive.diagnostic

client = DICOMwebClient(f"{url}/dicom-web", headers={"Authorization": f"Bearer {token}"})
studies = client.search_for_studies(search_filters={"ModalitiesInStudy": "CT"})
assert len(studies) == 1, len(studies)
study = studies[0]["0020000D"]["Value"][0]
assert study != original.StudyInstanceUID
instances = client.search_for_instances(study)
assert len(instances) == 1
series = instances[0]["0020000E"]["Value"][0]
instance = instances[0]["00080018"]["Value"][0]

stored = client.retrieve_instance(study, series, instance)
assert stored.PixelData == original.PixelData, "pixels changed"
assert (stored.pixel_array == original.pixel_array).all()
assert stored.PatientIdentityRemoved == "YES"
assert str(original.PatientID) not in str(stored), "patient ID left"
frames = client.retrieve_instance_frames(study, series, instance, [1])
assert (numpy.frombuffer(frames[0], "<i2").reshape(128, 128) == original.pixel_array).all()
metadata = client.retrieve_study_metadata(study)
dataset = pydicom.Dataset.from_json(metadata[0], bulk_data_uri_handler=lambda uri: None)
assert dataset.SOPInstanceUID == instance
picture = client.retrieve_instance_rendered(study, series, instance, media_types=("image/png",))
assert picture.startswith(b"\x89PNG")
assert client.search_for_studies(search_filters={"PatientID": "no such patient"}) == []

# STOW of the same file: already there, success, one copy.
client.store_instances([original])
assert len(client.search_for_instances(study)) == 1
print("the main job is done")
