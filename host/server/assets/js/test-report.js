// What a test found, step by step: details → sign-in → request → account, each with a sign, words and its time.

import { announce, el, icon, spinner } from './dom.js';
import { TEST_STEPS, duration, sentence } from './words.js';

/** A report that waits: every step is ahead. */
export function pendingReport() {
  return frame('Testing…', TEST_STEPS.map(([, label], index) => line(index === 0 ? 'now' : 'later', label)));
}

/** `report`: TestReport. `onClose` removes it. `headline` replaces the usual first line. */
export function testReport(report, onClose, headline = null) {
  const found = new Map(report.steps.map((step) => [step.step, step]));
  const known = TEST_STEPS.map(([id, label]) => [label, found.get(id)]);
  const others = report.steps.filter((step) => !TEST_STEPS.some(([id]) => id === step.step)).map((step) => [step.step, step]);
  const total = report.steps.reduce((sum, step) => sum + step.ms, 0);
  const head = headline ?? (report.ok
    ? `It works${report.account ? `: connected as ${report.account.label}` : ''} (${duration(total)})`
    : sentence(report.error?.say ?? 'The test did not pass'));
  announce(head);
  return frame(head, [...known, ...others].map(([label, step]) => (step
    ? line(step.ok ? 'ok' : 'bad', label, step.say && sentence(step.say), duration(step.ms))
    : line('later', label, null, 'not reached'))), onClose);
}

function frame(head, lines, onClose) {
  return el('div', { class: 'report', testid: 'test-report' },
    el('div', { class: 'report-head' }, el('span', { testid: 'test-result' }, head),
      onClose && el('button', { class: 'button quiet icon-only', type: 'button', 'aria-label': 'Hide the test', on: { click: onClose } }, icon('cross'))),
    el('ol', { class: 'steps' }, lines));
}

const SIGNS = {
  ok: () => [icon('check'), 'passed: '],
  bad: () => [icon('cross'), 'failed: '],
  now: () => [spinner(), 'running: '],
  later: () => ['–', ''],
};

function line(kind, label, say = null, time = null) {
  const [sign, word] = SIGNS[kind]();
  return el('li', { class: kind },
    el('span', { class: 'sign', 'aria-hidden': 'true' }, sign),
    el('span', {}, el('span', { class: 'visually-hidden' }, word), label),
    el('span', { class: 'ms' }, time),
    say && el('span', { class: 'say' }, say));
}
