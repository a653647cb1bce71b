#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""--perfetto: the trace, read by protoc with the published field numbers, is one that the viewer can draw: slices nest and end,
time never goes back, every track is described, every event has its step, flows join."""
import pathlib
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "boot"))
import vivtest as t  # noqa: E402

COMMAND = "ls /etc | wc -l; cat /nonexistent; kill -9 $$"


def parse(text):
    """protoc's text format as nested lists of (key, value)."""
    top = []
    stack = [top]
    for line in text.splitlines():
        line = line.strip()
        if line.endswith("{"):
            inner = []
            stack[-1].append((line[:-2], inner))
            stack.append(inner)
        elif line == "}":
            stack.pop()
        else:
            key, value = line.split(": ", 1)
            t.expect(not key.isdigit(), f"a field that is not in the format: {line}")
            stack[-1].append((key, value.strip('"')))
    return top


def decode(path):
    result = subprocess.run(["protoc", "--decode=check.Trace", f"--proto_path={FOLDER}", "perfetto.proto"],
                            stdin=path.open("rb"), capture_output=True, text=True, check=True)
    return [dict(packet) | {"raw": packet} for key, packet in parse(result.stdout) if key == "packet"]


class Trace:
    """A decoded trace: tracks by uuid, events in order."""

    def __init__(self, path):
        self.tracks, self.events = {}, []
        for packet in decode(path):
            t.expect_equal(packet["trusted_packet_sequence_id"], "1", "sequence")
            if "track_descriptor" in packet:
                d = dict(packet["track_descriptor"])
                self.tracks[d["uuid"]] = {key: dict(d[key]) if isinstance(d[key], list) else d[key] for key in d}
            else:
                self.events.append(self.event(packet))

    @staticmethod
    def event(packet):
        fields = packet["track_event"]
        event = dict(fields)
        event["time"] = int(packet["timestamp"])
        notes = [dict(value) for key, value in fields if key == "debug_annotations"]
        event["notes"] = {note["name"]: next((v for k, v in note.items() if k != "name"), None) for note in notes}
        event["flows"] = [value for key, value in fields if key == "flow_ids"]
        event["ends"] = [value for key, value in fields if key == "terminating_flow_ids"]
        return event

    def name(self, uuid):
        track = self.tracks[uuid]
        if "thread" in track:
            return track["thread"]["thread_name"]
        return track.get("name", "?")


def recorded(folder):
    path = folder / "trace.pf"
    r = t.run_exec(COMMAND, "--perfetto", path)
    t.expect_equal(r.returncode, 137, r.stderr.decode())
    return Trace(path)


def expect_sound(trace):
    last, open_slices, begun = 0, {}, set()
    for event in trace.events:
        t.expect(event["time"] >= last, f"time goes back to {event['time']} from {last}")
        last = event["time"]
        t.expect(int(event["notes"].get("step", -1)) >= 0, f"no step: {event}")
        track = event["track_uuid"]
        t.expect(track in trace.tracks, f"track {track} is not described: {event}")
        if event["type"] == "TYPE_SLICE_BEGIN":
            t.expect(event.get("name"), f"a slice without a name: {event}")
            open_slices.setdefault(track, []).append(event)
        elif event["type"] == "TYPE_SLICE_END":
            t.expect(open_slices.get(track), f"an end without a beginning on {trace.name(track)}: {event}")
            begin = open_slices[track].pop()
            begin["end"] = event
        elif event["type"] == "TYPE_COUNTER":
            t.expect("counter" in trace.tracks[track] and "counter_value" in event, f"not a counter: {event}")
        for flow in event["ends"]:
            t.expect(flow in begun, f"a flow ends that never began: {event}")
        begun |= set(event["flows"])
    for track, slices in open_slices.items():
        t.expect(not slices, f"never ended on {trace.name(track)}: {slices}")


def test_trace_is_sound():
    with tempfile.TemporaryDirectory() as folder:
        trace = recorded(pathlib.Path(folder))
        expect_sound(trace)
        for track in trace.tracks.values():
            for kind in ("process", "thread"):
                t.expect(kind not in track or int(track[kind]["pid"]) > 0, f"pid 0: {track}")


def test_trace_tells_the_story():
    with tempfile.TemporaryDirectory() as folder:
        trace = recorded(pathlib.Path(folder))
        expect_sound(trace)
        names = {trace.name(uuid) for uuid in trace.tracks}
        for wanted in ("cat", "wc", "init", "CPU 0", "CPU 0 interrupts", "page faults"):
            t.expect(wanted in names, f"no track {wanted}: {sorted(names)}")
        failed = [e for e in trace.events if e.get("name") in ("open", "openat") and e["type"] == "TYPE_SLICE_BEGIN" and
                  "ENOENT" in e["end"]["notes"].get("result", "") and "/nonexistent" in e["end"]["notes"]["arguments"]]
        t.expect_equal([trace.name(e["track_uuid"]) for e in failed], ["cat"], "the refused open")
        faults = [e for e in trace.events if e.get("name") == "page fault"]
        outcomes = {e["end"]["notes"].get("outcome") for e in faults}
        t.expect({"map", "copy-on-write"} <= outcomes, f"outcomes {outcomes}")
        inside, depth = 0, {}
        for e in trace.events:
            stack = depth.setdefault(e["track_uuid"], [])
            if e["type"] == "TYPE_SLICE_BEGIN":
                inside += e["name"] == "page fault" and bool(stack) and stack[-1] != "page fault"
                stack.append(e["name"])
            elif e["type"] == "TYPE_SLICE_END":
                stack.pop()
        t.expect(inside > 0, "no fault inside a system call")
        ended = {flow for e in trace.events for flow in e["ends"]}
        kinds = {int(flow) >> 56 for flow in ended}
        t.expect_equal(kinds, {1, 2, 3}, "flows of forks, exits and wake-ups that arrive")
        counters = [int(e["counter_value"]) for e in trace.events
                    if e["type"] == "TYPE_COUNTER" and trace.name(e["track_uuid"]) == "page faults"]
        t.expect_equal(counters, list(range(1, len(counters) + 1)), "faults counted")


def test_recording_gives_the_same_trace():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        recording, live, replayed, traced = (folder / name for name in ("r", "live", "replayed", "traced"))
        t.run_exec(COMMAND, "--record", recording, "--perfetto", live)
        t.viv("replay", recording, "--perfetto", replayed)
        t.viv("trace", recording, "--perfetto", traced)
        t.expect(live.read_bytes() == replayed.read_bytes() == traced.read_bytes() and live.stat().st_size > 10000,
                 f"sizes {[p.stat().st_size for p in (live, replayed, traced)]}")


if __name__ == "__main__":
    t.main(globals())
