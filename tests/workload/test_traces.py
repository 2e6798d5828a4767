"""Traces of requests: the published ones, and files that mean no good."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.errors import BadFile, ParityError, UnknownName
from parity.workload import traces
from parity.workload.traces import find, read

AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens"
PLAIN = "arrival_s,input_tokens,output_tokens"


@pytest.fixture
def file(tmp_path):
    def write(content, name="trace.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


class TestPublished:
    def test_azure_as_it_was_published(self):
        """First rows of the conversation trace: 18:15:46.6805900, then 4.314579 s later."""
        found = find("azure-conv")
        assert len(found) == 1500
        assert found.arrival_s[:2].tolist() == pytest.approx([0.0, 4.314579])
        assert found.input_tokens[:2].tolist() == [374, 396]
        assert found.output_tokens[:2].tolist() == [44, 109]
        assert found.prefix is None
        assert found.findings == ()
        # 18:15:46.6805900 to 18:20:56.2090740
        assert found.arrival_s[-1] == pytest.approx(309.528484)
        assert found.rate == pytest.approx(1499 / 309.528484)

    def test_mooncake_blocks_that_come_again(self):
        """Counted here by themselves: 300 lines, a block of 512 tokens for each begun 512."""
        found = find("mooncake-conversation")
        assert (found.input_tokens[0], found.output_tokens[0]) == (6758, 500)
        assert found.arrival_s[-1] == pytest.approx(102.0)
        prefix = found.prefix
        assert prefix.block_tokens == 512
        assert np.array_equal(np.diff(prefix.offsets), -(-found.input_tokens // 512))
        path = traces.files("parity.workload").joinpath("data/traces/mooncake-conversation.jsonl")
        seen, again, count = set(), 0, 0
        for line in path.read_text().splitlines():
            for block in json.loads(line)["hash_ids"]:
                again += block in seen
                seen.add(block)
                count += 1
        assert again > 100
        assert prefix.reuse == pytest.approx(again / count)

    def test_burstgpt_leaves_out_what_failed(self, file):
        found = read(file(
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
            "5,ChatGPT,472,18,490,Conversation log\n"
            "45,GPT-4,1087,0,1087,API log\n"
            "118,ChatGPT,417,276,693,Conversation log\n"
        ))  # fmt: skip
        assert found.arrival_s.tolist() == [0, 113]
        assert found.output_tokens.tolist() == [18, 276]
        (finding,) = found.findings
        assert finding.code == "P206"
        assert "1 have no prompt or no answer" in finding.message

    def test_bailian_has_seconds_and_blocks_named_by_their_text_alone(self, file):
        """The second block of both prompts reads the same, after another beginning."""
        rows = [
            {"chat_id": 1, "timestamp": 61.1, "input_length": 40, "output_length": 5,
             "hash_ids": [7, 8, 8]},
            {"chat_id": 2, "timestamp": 62.6, "input_length": 33, "output_length": 5,
             "hash_ids": [9, 8, 3]},
            {"chat_id": 3, "timestamp": 62.6, "input_length": 33, "output_length": 5,
             "hash_ids": [7, 8, 4]},
        ]  # fmt: skip
        found = read(file("\n".join(map(json.dumps, rows))))
        assert found.arrival_s.tolist() == pytest.approx([0, 1.5, 1.5])
        assert found.prefix.block_tokens == 16
        assert found.prefix.reuse == pytest.approx(2 / 9)

    def test_sharegpt_lengths_are_estimated_and_said_so(self, file):
        entries = [
            {"id": "a", "conversations": [
                {"from": "human", "value": "x" * 40}, {"from": "gpt", "value": "y" * 81},
                {"from": "human", "value": "more"},
            ]},
            {"id": "b", "conversations": [{"from": "human", "value": "alone"}]},
        ]  # fmt: skip
        path = file(json.dumps(entries), "sharegpt.json")
        found = read(path)
        assert (found.input_tokens.tolist(), found.output_tokens.tolist()) == ([10], [21])
        assert [finding.code for finding in found.findings] == ["P206", "P207"]

    def test_a_sharegpt_file_comes_at_the_rate_that_is_asked(self, file):
        entry = {"conversations": [{"value": "question"}, {"value": "an answer"}]}
        found = find(str(file(json.dumps([entry] * 2000), "s.json")), rate=4.0)
        assert found.rate == pytest.approx(4.0, rel=0.1)

    def test_a_trace_may_be_told_another_rate_and_cut(self):
        found = find("azure-conv", requests=100, rate=20.0)
        whole = find("azure-conv")
        assert len(found) == 100
        assert found.rate == pytest.approx(20.0)
        scale = whole.arrival_s[99] / found.arrival_s[99]
        assert found.arrival_s * scale == pytest.approx(whole.arrival_s[:100])

    def test_priorities_of_a_plain_table(self, file):
        found = read(file(f"{PLAIN},priority\n0,10,5,1\n2.5,20,6,0\n"))
        assert found.arrival_s.tolist() == [0, 2.5]
        assert found.priority.tolist() == [1, 0]


class TestOrder:
    def test_rows_out_of_order_are_put_in_order_and_said(self, file):
        found = read(file(f"{PLAIN}\n10,1,1\n5,2,2\n7,3,3\n"))
        assert found.arrival_s.tolist() == [0, 2, 5]
        assert found.input_tokens.tolist() == [2, 3, 1]
        assert "1 requests stand after a later one" in found.findings[0].message

    def test_prefix_blocks_move_with_their_request(self, file):
        rows = [
            {"timestamp": at, "input_length": 1024, "output_length": 1, "hash_ids": ids}
            for at, ids in ((2000, [1, 2]), (1000, [3]), (0, []))
        ]
        found = read(file("\n".join(map(json.dumps, rows))))
        first = [found.prefix.ids[a:b].tolist() for a, b in zip(
            found.prefix.offsets, found.prefix.offsets[1:], strict=False)]  # fmt: skip
        assert first == [[], [2], [0, 1]]

    @pytest.mark.parametrize("ending", ["\n", "\r\n"])
    def test_line_ends_a_mark_at_the_start_and_time_zones(self, file, ending):
        rows = [
            AZURE, "2024-05-10 00:00:00.009930+00:00,2162,5", "",
            "2024-05-10T02:00:01.0099301+02:00,2399,6",
        ]  # fmt: skip
        found = read(file(b"\xef\xbb\xbf" + ending.join(rows).encode()))
        assert found.arrival_s.tolist() == pytest.approx([0, 1.0000001], abs=1e-9)


class TestHostile:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "column names"),
            ("\n\n", "column names"),
            (PLAIN, "no request"),
            (f"{PLAIN}\n1,2\n", "line 2: 2 fields; 3 were expected"),
            (f"{PLAIN}\n0,5,5\n1,-5,5\n", "line 3, column input_tokens: '-5'"),
            (f"{PLAIN}\n0,5,1e3\n", "column output_tokens: '1e3'"),
            (f"{PLAIN}\n0,5,٣\n", "column output_tokens"),
            (f"{PLAIN}\nnan,5,5\n", "line 2, column arrival_s: 'nan'"),
            (f"{PLAIN}\ninf,5,5\n", "arrival_s"),
            (f"{PLAIN}\n-1,5,5\n", "arrival_s"),
            (f"{PLAIN}\n1,5,99999999999999999999\n", "output_tokens"),
            (f"{PLAIN}\n1,5,0\n", "no request"),
            ("arrival,input_token,output_tokens\n1,2,3", "Is `arrival_s` and `input_tokens` meant"),
            (f"{AZURE}\n2023-13-16 18:17:03.97,1,1\n", "line 2, column TIMESTAMP"),
            (f"{AZURE}\n17:03,1,1\n", "a time as in"),
            (f"{AZURE}\n2023-11-16 18:17:03.9799600\n", "1 fields"),
            (f'{PLAIN}\n0,"5,5\n', "not CSV"),
            (b"\0" * 100, "NUL"),
            (f"{PLAIN}\n1,\0,3".encode(), "line 2: holds a NUL"),
            (PLAIN.encode() + b"\n\xff\xfe,1,1\n", "line 2: not text"),
            ("{}", "line 1: Object missing"),
            ('{"timestamp": 1', "line 1: Input data was truncated"),
            ('{"timestamp": -1, "input_length": 1, "output_length": 1}', "timestamp"),
            ('{"timestamp": 1e999, "input_length": 1, "output_length": 1}', "line 1"),
            ('{"timestamp": 1, "input_length": 1.5, "output_length": 1}', "input_length"),
            ('{"timestamp": 1, "input_length": 9, "output_length": 1, "hash_ids": [1,2]}',
             "shorter blocks"),
            ('{"x": ' + "[" * 100_000 + "}", "line 1"),
            ("[1, 2]", "conversations"),
            ("[" * 100_000, "conversations"),
            ("[]", "no request"),
        ],
    )  # fmt: skip
    def test_what_breaks_a_format_is_said_with_its_place(self, file, content, words):
        with pytest.raises(BadFile, match=words) as caught:
            read(file(content))
        assert len(str(caught.value)) < 500

    def test_a_line_without_end_is_not_read(self, file, monkeypatch):
        monkeypatch.setattr(traces, "LONGEST_LINE", 1000)
        with pytest.raises(BadFile, match="line 2: longer than 1,000 bytes"):
            read(file(f"{PLAIN}\n{'1' * 5000}\n"))

    def test_what_is_too_large_is_not_read_but_its_beginning_is(self, file, monkeypatch):
        path = file(f"{PLAIN}\n" + "1,2,3\n" * 100)
        monkeypatch.setattr(traces, "MOST_BYTES", 100)
        with pytest.raises(BadFile, match="at most 100 are read, or the first"):
            read(path)
        assert len(read(path, requests=7)) == 7
        monkeypatch.setattr(traces, "MOST_BYTES", 10_000)
        monkeypatch.setattr(traces, "MOST_REQUESTS", 50)
        with pytest.raises(BadFile, match="more than 50 requests"):
            read(path)

    def test_what_is_no_file(self, tmp_path):
        for path in (tmp_path, tmp_path / "none.csv", tmp_path / ("x" * 5000)):
            with pytest.raises(BadFile):
                read(path)
        if hasattr(os, "mkfifo"):
            os.mkfifo(tmp_path / "pipe.csv")
            with pytest.raises(BadFile, match="no file"):
                read(tmp_path / "pipe.csv")

    def test_an_unknown_name_suggests_a_known_one(self):
        with pytest.raises(UnknownName, match="`azure-conv`"):
            find("azure-con")

    @given(st.binary(max_size=200))
    def test_any_bytes_are_a_trace_or_an_error_in_words(self, tmp_path_factory, content):
        path = tmp_path_factory.getbasetemp() / "any"
        path.write_bytes(content)
        with pytest.raises(ParityError):
            read(path)

    @given(st.lists(st.text(alphabet="0123456789.-,\"'eE \t", max_size=20), max_size=5))
    def test_any_rows_below_a_right_header_are_too(self, tmp_path_factory, rows):
        path = tmp_path_factory.getbasetemp() / "any.csv"
        path.write_text("\n".join([PLAIN, *rows]))
        try:
            found = read(path)
        except ParityError:
            return
        assert (np.diff(found.arrival_s) >= 0).all()
        assert found.input_tokens.min() >= 1
