// @vitest-environment jsdom
import { Signal } from '@lumino/signaling';
import * as React from 'react';
import { createRoot, type Root } from 'react-dom/client';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { type Actions, Sidebar } from '../src/components';
import type { ClusterView, IClusters, Row, ServerContext } from '../src/tokens';
import { cluster } from './factories';

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

function rowOf(view: ClusterView, more: Partial<Row> = {}): Row {
  const key = `${view.namespace}/${view.name}`;
  return { key, view, wish: null, complaint: null, isOpen: false, events: null, ...more };
}

/** A model that shows what it is told and notes what it is asked. */
function fakeModel(state: Partial<IClusters>) {
  const model = {
    changed: null as unknown,
    version: 0,
    namespace: 'default',
    context: null,
    connection: { phase: 'open' },
    problem: null,
    isBlind: false,
    rows: [],
    current: null,
    setOpen: vi.fn(),
    scale: vi.fn(),
    adapt: vi.fn(),
    takeBack: vi.fn(),
    focus: vi.fn(),
    checkAgain: vi.fn(),
    ...state
  };
  model.changed = new Signal(model);
  return model as unknown as IClusters & typeof model;
}

describe('the sidebar', () => {
  let host: HTMLElement;
  let root: Root;
  let actions: { [name in keyof Actions]: ReturnType<typeof vi.fn> };
  const show = (state: Partial<IClusters>) => {
    const model = fakeModel(state);
    React.act(() => root.render(<Sidebar model={model} actions={actions as unknown as Actions} />));
    return model;
  };
  const heads = () => [...host.querySelectorAll<HTMLElement>('.dk-RowHead')];
  const press = (node: Element | undefined, key: string) =>
    React.act(() => void node?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })));
  const text = (selector: string) => host.querySelector(selector)?.textContent;

  beforeEach(() => {
    actions = {
      newCluster: vi.fn(),
      scale: vi.fn(),
      openDashboard: vi.fn(),
      connect: vi.fn(),
      openLogs: vi.fn(),
      remove: vi.fn()
    };
    host = document.body.appendChild(document.createElement('div'));
    root = createRoot(host);
  });

  afterEach(() => {
    React.act(() => root.unmount());
    host.remove();
  });

  it('says what it is for while there is nothing, with one filled button', () => {
    show({});
    expect(text('h3')).toBe('No clusters in default');
    expect(host.querySelectorAll('.dk-mod-filled')).toHaveLength(1);
  });

  it('has one filled button among rows too, unfolded ones included', () => {
    show({ rows: [rowOf(cluster(), { isOpen: true }), rowOf(cluster({ name: 'other' }))] });
    expect(host.querySelectorAll('.dk-mod-filled')).toHaveLength(1);
  });

  it('tells in one line whether a cluster is well', () => {
    show({ rows: [rowOf(cluster())] });
    expect(heads()[0]?.getAttribute('aria-label')).toBe('demo, running, 2 of 2 workers');
    expect(text('.dk-Facts')).toContain('2 cores · 4 GiB');
    expect(host.querySelector('.dk-Why')).toBeNull();
  });

  it('tells in a second one why it is not', () => {
    show({ rows: [rowOf(cluster({ state: 'waiting', reason: '2 Pods do not fit' }, 2, 0))] });
    expect(text('.dk-Count')).toBe('0 of 2');
    expect(text('.dk-Why')).toContain('2 Pods do not fit.');
  });

  it('is walked with the arrows, and acts on keys', () => {
    const model = show({ rows: [rowOf(cluster()), rowOf(cluster({ name: 'other' }))] });
    heads()[0]?.focus();
    press(heads()[0], 'ArrowDown');
    expect(document.activeElement).toBe(heads()[1]);
    press(heads()[1], 'Home');
    expect(document.activeElement).toBe(heads()[0]);
    press(heads()[0], 'Enter');
    expect(model.setOpen).toHaveBeenCalledWith(expect.objectContaining({ name: 'demo' }), true);
    press(heads()[0], 's');
    expect(actions.scale).toHaveBeenCalledTimes(1);
    press(heads()[0], 'Delete');
    expect(actions.remove).toHaveBeenCalledTimes(1);
  });

  it('is one stop for Tab', () => {
    show({
      rows: [rowOf(cluster()), rowOf(cluster({ name: 'other' }))],
      current: { namespace: 'default', name: 'other' }
    });
    expect(heads().map(head => head.tabIndex)).toEqual([-1, 0]);
  });

  it('offers to take a wish back', () => {
    const wish = {
      kind: 'scale',
      from: 2,
      fromAdaptive: null,
      to: 3,
      isSeen: false,
      isTakenBack: false
    } as const;
    const model = show({ rows: [rowOf(cluster(), { wish })] });
    expect(text('.dk-Count')).toBe('2 → 3');
    React.act(() => host.querySelector<HTMLElement>('.dk-Why .dk-Link')?.click());
    expect(model.takeBack).toHaveBeenCalledTimes(1);
  });

  it('holds a range back until it makes sense', () => {
    show({
      rows: [rowOf(cluster({ adaptive: { minimum: 1, maximum: 4 } }), { isOpen: true })]
    });
    expect(host.querySelector<HTMLButtonElement>('.dk-Apply')?.disabled).toBe(true);
    expect(
      [...host.querySelectorAll<HTMLInputElement>('.dk-Range input')].map(i => i.value)
    ).toEqual(['1', '4']);
  });

  it('keeps the last rows in sight while the connection is lost, and does nothing to them', () => {
    const model = show({
      rows: [rowOf(cluster(), { isOpen: true })],
      connection: { phase: 'lost', retryAtMs: Date.now() + 3000 }
    });
    expect(text('.dk-Note')).toContain('Trying again in 3 s.');
    press(heads()[0], 'Delete');
    expect(actions.remove).not.toHaveBeenCalled();
    const named = (name: string) =>
      [...host.querySelectorAll<HTMLButtonElement>('.dk-Actions button')].find(
        button => button.textContent === name
      );
    expect(named('Delete')?.disabled).toBe(true);
    React.act(() => host.querySelector<HTMLElement>('.dk-Note .dk-Link')?.click());
    expect(model.checkAgain).toHaveBeenCalledTimes(1);
  });

  it('keeps the cursor and what was typed while the connection is lost', () => {
    const rows = [rowOf(cluster(), { isOpen: true })];
    show({ rows });
    const box = host.querySelector<HTMLInputElement>('.dk-Fixed .dk-Number')!;
    const write = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!;
    box.focus();
    write.call(box, '7');
    React.act(
      () =>
        void box.dispatchEvent(new InputEvent('input', { inputType: 'insertText', bubbles: true }))
    );
    const lost = show({ rows, connection: { phase: 'lost', retryAtMs: Date.now() + 3000 } });
    press(box, 'Enter');
    expect(lost.scale).not.toHaveBeenCalled();
    const found = show({ rows });
    expect(document.activeElement).toBe(box);
    expect(box.value).toBe('7');
    press(box, 'Enter');
    expect(found.scale).toHaveBeenCalledWith(expect.anything(), 7);
  });

  it('keeps the slider and the range in hand while the connection is lost', () => {
    const drag = (field: HTMLInputElement, value: string): void => {
      const write = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!;
      write.call(field, value);
      React.act(() => void field.dispatchEvent(new Event('input', { bubbles: true })));
    };
    const isLost = { connection: { phase: 'lost' as const, retryAtMs: Date.now() + 3000 } };
    const fixed = [rowOf(cluster(), { isOpen: true })];
    show({ rows: fixed });
    const slider = host.querySelector<HTMLInputElement>('.dk-Slider')!;
    const before = slider.value;
    slider.focus();
    const lost = show({ rows: fixed, ...isLost });
    drag(slider, '9');
    expect(slider.value).toBe(before);
    React.act(() => slider.blur());
    expect(lost.scale).not.toHaveBeenCalled();
    slider.focus();
    const found = show({ rows: fixed });
    expect(document.activeElement).toBe(slider);
    drag(slider, '9');
    React.act(() => slider.blur());
    expect(found.scale).toHaveBeenCalledWith(expect.anything(), 9);

    const adaptive = [rowOf(cluster({ adaptive: { minimum: 1, maximum: 4 } }), { isOpen: true })];
    show({ rows: adaptive });
    const largest = host.querySelectorAll<HTMLInputElement>('.dk-Range input')[1]!;
    largest.focus();
    drag(largest, '8');
    show({ rows: adaptive, ...isLost });
    expect(largest.readOnly).toBe(true);
    expect(document.activeElement).toBe(largest);
    expect(largest.value).toBe('8');
    expect(host.querySelector<HTMLButtonElement>('.dk-Apply')?.disabled).toBe(true);
  });

  it('lets who may only look do nothing, and says so', () => {
    const can = { create: false, scale: false, delete: false };
    const context = { namespace: 'default', problem: null, can } as unknown as ServerContext;
    show({ rows: [rowOf(cluster(), { isOpen: true })], context });
    const remove = [...host.querySelectorAll('button')].find(b => b.textContent === 'Delete');
    expect(remove?.disabled).toBe(true);
    expect(remove?.title).toBe('You may not delete clusters in default');
    expect(host.querySelector('.dk-Slider')?.getAttribute('aria-disabled')).toBe('true');
    press(heads()[0], 'Delete');
    press(heads()[0], 's');
    expect(actions.remove).not.toHaveBeenCalled();
    expect(actions.scale).not.toHaveBeenCalled();
  });

  it('says what is wrong and what to do, with the command apart', () => {
    show({
      isBlind: true,
      problem: {
        code: 'crds-missing',
        title: 'Kubernetes does not know Dask clusters',
        message: 'It does not',
        fix: 'Run `kubectl apply`'
      }
    });
    expect(host.querySelector('.dk-Empty')).toBeNull();
    expect(text('.dk-Note code')).toBe('kubectl apply');
    expect(host.querySelector('[role="alert"]')).not.toBeNull();
  });

  it('gives every button a name', () => {
    show({ rows: [rowOf(cluster(), { isOpen: true })], context: null });
    for (const control of host.querySelectorAll('button, input, select')) {
      const label =
        control.getAttribute('aria-label') ??
        control.closest('label')?.textContent ??
        control.textContent;
      expect(label).toBeTruthy();
    }
  });
});
