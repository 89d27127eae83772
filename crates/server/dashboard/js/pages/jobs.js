// Jobs: when each last succeeded, what it does now, what it did before.

import { h, fill, every } from '../dom.js';
import { get, post, del, aborted } from '../api.js';
import { can } from '../session.js';
import { button, empty, facts, failed, loading, pageHead, table, time } from '../components/ui.js';
import { confirm, openDialog } from '../components/dialog.js';
import { toast, toastError } from '../components/toast.js';
import { progressView, problemsView, runFacts, stateBadge } from '../components/run-view.js';
import { select } from '../components/form.js';
import { ago, bytes, duration, jobHealth, plural, words } from '../format.js';

const HISTORY = 50;

function showRun(run, signal) {
  const body = h('div');
  const end = new AbortController();
  openDialog(`${run.job}: ${words(run.kind)}`, body, { onClose: () => end.abort() });
  fill(body, runFacts(run));
  if (run.state !== 'running') return;
  every(1000, async () => {
    try {
      const fresh = await get(['runs', run.id], {}, end.signal);
      fill(body, runFacts(fresh));
      if (fresh.state !== 'running') end.abort();
    } catch {
      // Told by the strip at the top; the next second tries again.
    }
  }, AbortSignal.any ? AbortSignal.any([end.signal, signal]) : end.signal);
}

/**
 * @param {Element} host
 * @param {import('../router.js').Route} route
 * @param {AbortSignal} signal
 */
export function mount(host, route, signal) {
  const cards = h('div', null, loading());
  const history = h('div', { class: 'card stack' });
  let filter = '';
  let runningBefore = '';
  host.append(pageHead('Jobs'), h('div', { class: 'stack' }, cards, history));

  async function start(job) {
    try {
      await post(['jobs', job.name, 'runs']);
      toast(`${job.name} was started`);
    } catch (error) {
      toastError(error);
    }
    refresh();
  }
  async function stop(job) {
    const done = await confirm({ title: `Stop ${job.name}?`, text: 'What it has stored so far is kept, and the next run goes on from there.', action: 'Stop' }, () => del(['runs', job.running.id]));
    if (done) toast(`${job.name} is being stopped`);
    refresh();
  }

  function card(job) {
    const health = jobHealth(job);
    return h('article', { class: 'card stack', 'aria-label': job.name },
      h('div', { class: 'row' }, h('div', { class: 'grow' }, h('h2', { class: 'break' }, job.name), h('p', { class: 'muted small' }, words(job.kind), job.repository && ` · ${job.repository}`)),
        job.running ? stateBadge('running') : job.last ? stateBadge(job.last.state) : h('span', { class: 'badge' }, 'Never run')),
      h('p', { class: health, title: job.last_success ?? '' }, h('strong', null, `Last success ${job.last_success ? ago(job.last_success) : 'never'}`)),
      job.running ? progressView(job.running) : job.last && facts([
        ['Last run', time(job.last.ended_at ?? job.last.started_at, 'ago')],
        ['Took', job.last.ended_at ? duration(Date.parse(job.last.ended_at) - Date.parse(job.last.started_at)) : null],
        ['Added', Number.isFinite(job.last.summary?.bytes_stored) ? bytes(job.last.summary.bytes_stored) : null],
      ]),
      !job.running && job.last && problemsView(job.last, 3),
      h('div', { class: 'row-tight' },
        can('jobs:run') && (job.running ? button('Stop', { icon: 'stop', class: 'danger', on: () => stop(job) }) : button('Start', { icon: 'play', on: () => start(job) })),
        (job.running ?? job.last) && button('Details', { class: 'plain', on: () => showRun(job.running ?? job.last, signal) })));
  }

  function drawHistory(runs, jobs) {
    const choose = select('job', [['', 'All jobs'], ...jobs.map((j) => [j.name, j.name])], filter, { class: 'input auto', 'aria-label': 'Runs of', on: { change: () => { filter = choose.value; refresh(); } } });
    fill(history, h('div', { class: 'row' }, h('h2', { class: 'grow' }, 'History'), choose),
      runs.length === 0 ? h('p', { class: 'muted' }, 'Nothing has run yet.')
        : table('Runs', ['Began', 'Job', 'State', { text: 'Took', class: 'num' }, 'By', ''], runs.map((r) => h('tr', null,
          h('td', { class: 'nowrap' }, time(r.started_at)), h('td', null, r.job), h('td', { class: 'nowrap' }, stateBadge(r.state)),
          h('td', { class: 'num' }, r.ended_at ? duration(Date.parse(r.ended_at) - Date.parse(r.started_at)) : ''),
          h('td', null, r.by), h('td', { class: 'act' }, button(r.problems?.length ? plural(r.problems.length, 'problem') : 'Details', { class: `tiny ${r.problems?.length ? 'danger' : 'plain'}`, 'aria-label': `Details of ${r.job}, ${ago(r.started_at)}`, on: () => showRun(r, signal) })))), { stacked: true }));
  }

  let jobs = null;
  async function refresh() {
    try {
      ({ jobs } = await get('jobs', {}, signal));
      if (jobs.length === 0) {
        fill(cards, empty('jobs', 'No jobs', 'Name jobs in the configuration file: backups, checks, and drills that prove a restore works.'));
        history.hidden = true;
        return;
      }
      // Not under somebody's fingers: cards are drawn again only when something has changed.
      const key = JSON.stringify(jobs) + Math.floor(Date.now() / 30000);
      if (key !== cards.dataset.key) {
        const focused = cards.contains(document.activeElement) ? [...cards.querySelectorAll('button')].indexOf(document.activeElement) : -1;
        cards.dataset.key = key;
        fill(cards, h('div', { class: 'columns' }, jobs.map(card)));
        if (focused >= 0) cards.querySelectorAll('button')[focused]?.focus();
      }
      const running = jobs.map((j) => `${j.running?.id}/${j.last?.id}`).join() + filter;
      if (running !== runningBefore) {
        const { runs } = await get('runs', { job: filter, limit: HISTORY }, signal);
        runningBefore = running;
        drawHistory(runs, jobs);
      }
    } catch (error) {
      if (!aborted(error) && !jobs) fill(cards, failed(error, refresh));
    }
  }
  let last = 0;
  every(1000, () => {
    // Each second while something runs, else now and then.
    if (!jobs?.some((j) => j.running) && Date.now() - last < 10000) return null;
    last = Date.now();
    return refresh();
  }, signal);
}
