"""Sends one very large object each way and reads it back: large.py PROGRAM FOLDER SEED FRAMES, called by large.sh.

The frames are noise in RLE, so that their number and size are known and nothing shrinks; nothing here holds more than one.
"""

import hashlib
import http.client
import io
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import time

import numpy
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import RLELossless
from pynetdicom import AE, _config

SIDE = 3200  # a multiple of 128, so that each row is whole runs (PS3.5 G.3.1)
LIMIT_MIB = 300
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.7.2"  # Multi-frame Grayscale Byte Secondary Capture
ROOT = "1.2.826.0.1.3680043.10.1559.5"
PIXEL_DATA = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
BOUNDARY = "5d41402abc4b2a76b9719d911017c592"


def item(element, length):
    return struct.pack("<HHI", 0xFFFE, element, length)


def native(noise, number):
    """The samples of a frame, from 1: the same noise, elsewhere."""
    return numpy.roll(noise, number * 7919)


def rle(samples):
    """PS3.5 Annex G: one segment of literal runs."""
    runs = samples.reshape(-1, 128)
    lengths = numpy.full((len(runs), 1), 127, numpy.uint8)
    segment = numpy.hstack([lengths, runs]).tobytes()
    return struct.pack("<16I", 1, 64, *[0] * 14) + segment + b"\0" * (len(segment) % 2)


def header(instance, frames):
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = RLELossless
    data_set.file_meta.MediaStorageSOPClassUID = data_set.SOPClassUID = SOP_CLASS
    data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID = f"{ROOT}.1.{instance}"
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = ROOT, f"{ROOT}.1"
    data_set.PatientID, data_set.PatientName, data_set.Modality = "LARGE", "Large^Object", "OT"
    data_set.ConversionType = "SYN"
    data_set.InstanceNumber, data_set.NumberOfFrames = instance, frames
    data_set.Rows = data_set.Columns = SIDE
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
    data_set.BitsAllocated = data_set.BitsStored = 8
    data_set.HighBit, data_set.PixelRepresentation = 7, 0
    out = io.BytesIO()
    dcmwrite(out, data_set, enforce_file_format=True)
    return out.getvalue()


def make(path, noise, instance, frames):
    """Writes the file and returns size and digest of its pixel data, that is of all after the element's head."""
    digest, size = hashlib.sha256(), 0
    with open(path, "wb") as file:
        file.write(header(instance, frames) + PIXEL_DATA)

        def write(part):
            nonlocal size
            file.write(part)
            digest.update(part)
            size += len(part)

        write(item(0xE000, 0))
        for number in range(1, frames + 1):
            frame = rle(native(noise, number))
            write(item(0xE000, len(frame)) + frame)
        write(item(0xE0DD, 0))
    return size, digest.hexdigest()


class Server:
    def __init__(self, program, data):
        self.command = [program, "--data-dir", str(data)]
        log_path = data.with_suffix(".log")
        with open(log_path, "wb") as log:
            self.process = subprocess.Popen(
                self.command + ["serve", "--http", "127.0.0.1:0", "--dimse", "127.0.0.1:0"], stdout=subprocess.DEVNULL, stderr=log
            )
        try:
            ready = self.ready(log_path)
        except BaseException:
            self.stop()
            raise
        self.http, self.dimse = ready["http"], ready["dimse"]
        self.token = (data / "admin.token").read_text().strip()

    def ready(self, log_path):
        for _ in range(600):
            for line in log_path.read_text().splitlines():
                fields = json.loads(line).get("fields", {}) if line.startswith("{") else {}
                if fields.get("message") == "isocenter is ready":
                    return fields
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit(f"the server did not start:\n{log_path.read_text()}")

    def say(self, *arguments):
        done = subprocess.run(self.command + [*arguments, "--json"], check=True, capture_output=True)
        return json.loads(done.stdout)

    def peak(self):
        """Returns the most memory in MiB since the last call."""
        process = pathlib.Path("/proc", str(self.process.pid))
        line = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmHWM"))
        (process / "clear_refs").write_text("5")
        return int(line.split()[1]) >> 10

    def ask(self, method, path, headers, body=None):
        host, port = self.http.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=1800)
        connection.request(
            method,
            f"/dicom-web{path}",
            body=body,
            headers={"Authorization": f"Bearer {self.token}", **headers},
            encode_chunked=body is not None,
        )
        return connection.getresponse()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def c_store(server, path, _collection):
    _config.STORE_SEND_CHUNKED_DATASET = True
    entity = AE("LARGE")
    entity.dimse_timeout = entity.network_timeout = 1800
    entity.add_requested_context(SOP_CLASS, RLELossless)
    host, port = server.dimse.rsplit(":", 1)
    association = entity.associate(host, int(port), ae_title="LARGE")
    assert association.is_established, "no association"
    status = association.send_c_store(path)
    association.release()
    assert status and status.Status == 0, f"C-STORE answered {status}"


def chunks(path):
    yield f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            yield part
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


def stow(server, path, collection):
    answer = server.ask(
        "POST",
        f"/collections/{collection}/studies",
        {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
            "Accept": "application/dicom+json",
            "Transfer-Encoding": "chunked",
        },
        chunks(path),
    )
    said = answer.read()
    assert answer.status == 200, f"STOW-RS answered {answer.status}: {said[:500]}"


def read_frame(server, path, number):
    answer = server.ask("GET", f"{path}/frames/{number}", {"Accept": 'multipart/related; type="application/octet-stream"'})
    body = answer.read()
    assert answer.status == 200, f"frame {number}: {answer.status}"
    begin = body.index(b"\r\n\r\n") + 4
    return body[begin : begin + SIDE * SIDE]


def read_pixel_data(server, path, size):
    """Returns the digest of the pixel data of the instance as it is given out."""
    answer = server.ask("GET", path, {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'})
    assert answer.status == 200, f"instance: {answer.status}"
    begun = b""
    while PIXEL_DATA not in begun:
        part = answer.read(1 << 20)
        assert part and len(begun) < 1 << 24, "no pixel data at the beginning"
        begun += part
    rest = begun[begun.index(PIXEL_DATA) + len(PIXEL_DATA) :]
    digest, left = hashlib.sha256(), size
    while left:
        digest.update(rest[:left])
        left -= min(left, len(rest))
        rest = answer.read(1 << 20) if left else b""
        assert rest or not left, f"{left} bytes are missing"
    while answer.read(1 << 20):
        pass
    return digest.hexdigest()


def one_way(program, name, send, work, noise, instance, frames):
    """Sends one object to a fresh archive and reads it back. What it writes is gone at the end."""
    sent, data = work / "sent.dcm", work / name
    size, digest = make(sent, noise, instance, frames)
    server = Server(program, data)
    try:
        create = ["collection", "create", "--title", "large", "--profile", "none", "--release", "automatic"]
        collection = server.say(*create, "--ae-title", "LARGE")["accession"]
        return there_and_back(server, name, lambda: send(server, sent, collection), instance, size, digest, noise, frames)
    finally:
        server.stop()
        sent.unlink()
        shutil.rmtree(data)


def there_and_back(server, name, send, instance, size, digest, noise, frames):
    server.peak()
    begin = time.monotonic()
    send()
    seconds, peak_in = time.monotonic() - begin, server.peak()
    path = f"/studies/{ROOT}/series/{ROOT}.1/instances/{ROOT}.1.{instance}"
    late = max(1, frames - 2)
    assert read_frame(server, path, late) == native(noise, late).tobytes(), f"{name}: frame {late} differs"
    begin = time.monotonic()
    assert read_pixel_data(server, path, size) == digest, f"{name}: the pixel data differ"
    seconds_out, peak_out = time.monotonic() - begin, server.peak()
    line = f"{name} {size / seconds / 1e6:.0f} MB/s in, {size / seconds_out / 1e6:.0f} out, peak {peak_in} and {peak_out} MiB"
    print(line, flush=True)
    return size, max(peak_in, peak_out), line


def main():
    program, work, seed, frames = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    noise = numpy.random.default_rng(seed).integers(0, 256, SIDE * SIDE, numpy.uint8)
    ways = [("C-STORE", c_store), ("STOW-RS", stow)]
    told = [one_way(program, name, send, work, noise, n, frames) for n, (name, send) in enumerate(ways, 1)]
    highest = max(peak for _, peak, _ in told)
    if highest >= LIMIT_MIB:
        sys.exit(f"the server took {highest} MiB, {LIMIT_MIB} are allowed")
    print(f"{told[0][0] / 1e9:.2f} GB: " + "; ".join(line for _, _, line in told))


main()
