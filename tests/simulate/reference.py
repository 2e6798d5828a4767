"""The same engine written the slow and plain way: a list of sequences, looked at one by one.

One replica, one lane, no prefix cache. Every quantity is added up anew in each step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tests.simulate.engines import full_time


@dataclass
class Sequence:
    number: int
    prompt: int
    answer: int
    made: int = 0
    computed: int = 0
    target: int = 0
    decoding: bool = False
    chunk: int = 0

    @property
    def context(self) -> int:
        return self.prompt + self.made - 1

    def blocks(self, engine, more=0) -> int:
        tokens = self.context + more if self.decoding else self.target
        if engine.admission == "reserve":
            tokens = self.prompt + self.answer - 1
        return math.ceil(tokens / engine.block_tokens)


class Reference:
    def __init__(self, traffic, engine):
        self.traffic, self.engine = traffic, engine
        self.waiting, self.running = [], []
        self.first = np.full(len(traffic), np.nan)
        self.finish = np.full(len(traffic), np.nan)
        self.preemptions = np.zeros(len(traffic), int)
        self.decode_steps = 0

    def run(self):
        now, sent, count = 0.0, 0, len(self.traffic)
        while np.isnan(self.finish).any():
            while sent < count and self.traffic.arrival_s[sent] <= now:
                lengths = self.traffic.input_tokens[sent], self.traffic.output_tokens[sent]
                self.waiting.append(Sequence(sent, *map(int, lengths)))
                sent += 1
            step = self.begin()
            if step is None:
                now = self.traffic.arrival_s[sent]
                continue
            now += step[0]
            self.end(now, step[1])
        return self

    def begin(self):
        """Seconds of the next step and what each decoding sequence gains; None: nothing to do."""
        engine, each = self.engine, self.engine.tokens_per_step
        gain = math.floor((self.decode_steps + 1) * each) - math.floor(self.decode_steps * each)
        prompt = []
        if engine.scheduler == "separate":
            prompt = self.prompts(engine.token_budget, True)
        if not prompt:
            preempted = self.make_room(gain)
            if engine.scheduler != "separate":
                room = engine.token_budget - sum(s.decoding for s in self.running)
                prompt = self.prompts(room, not preempted or not self.running)
        decoders = [s for s in self.running if s.decoding]
        if engine.scheduler == "separate" and prompt:
            decoders = []
        if not decoders and not prompt:
            return None
        context = np.mean([s.context for s in decoders]) if decoders else 0
        tokens = sum(s.chunk for s in prompt)
        pairs = sum(s.computed + k for s in prompt for k in range(1, s.chunk + 1))
        self.decode_steps += bool(decoders)
        seconds = full_time(len(decoders), context, tokens, pairs / tokens if tokens else 0)
        return seconds, gain if decoders else 0

    def make_room(self, gain):
        preempted = False
        while any(s.decoding for s in self.running):
            need = sum(s.blocks(self.engine, gain if s.decoding else 0) for s in self.running)
            if need <= self.engine.kv_blocks:
                break
            victim = self.running.pop()
            victim.decoding, victim.computed, victim.chunk = False, 0, 0
            self.preemptions[victim.number] += 1
            self.waiting.insert(0, victim)
            preempted = True
        return preempted

    def prompts(self, budget, admit):
        engine, taken = self.engine, []
        for s in self.running:
            if not s.decoding:
                s.chunk = max(0, min(s.target - s.computed, budget))
                budget -= s.chunk
                taken += [s] if s.chunk else []
        while admit and self.waiting and len(self.running) < engine.max_sequences and budget > 0:
            s = self.waiting[0]
            s.target = s.prompt + s.made
            if engine.scheduler != "chunked" and taken and s.target > budget:
                break
            # In the step, those who decode have room for what they gain already.
            held = sum(o.blocks(engine, self.gained(o)) for o in self.running)
            if held + s.blocks(engine) > engine.kv_blocks:
                break
            s.chunk = min(s.target, budget) if engine.scheduler == "chunked" else s.target
            budget -= s.chunk
            taken.append(s)
            self.running.append(self.waiting.pop(0))
        return taken

    def gained(self, s):
        each = self.engine.tokens_per_step
        if not s.decoding or self.engine.scheduler == "separate":
            return 0
        return math.floor((self.decode_steps + 1) * each) - math.floor(self.decode_steps * each)

    def end(self, now, gain):
        for s in list(self.running):
            if s.decoding:
                s.made += gain
            elif s.chunk:
                s.computed += s.chunk
                s.chunk = 0
                if s.computed == s.target:
                    s.made += 1
                    s.decoding = True
                    if s.made == 1:
                        self.first[s.number] = now
            if s.made >= s.answer:
                self.finish[s.number] = now
                self.running.remove(s)
