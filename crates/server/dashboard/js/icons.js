// Icons drawn for Keepwatch on a grid of 24, as lines.

import { svg } from './dom.js';

const PATHS = {
  live: 'M3 6h12v12H3zM15 10l6-3v10l-6-3',
  camera: 'M4 7h10v10H4zM14 10.500l6-3v9l-6-3',
  cameraOff: 'M4 7h8m2 2v8H4V7M14 10.500l6-3v9M3 3l18 18',
  events: 'M4 5h16M4 12h16M4 19h10',
  face: 'M12 4a5 5 0 0 1 0 10a5 5 0 0 1 0-10zM4 21c1-4 4-5 8-5s7 1 8 5',
  faceUnknown: 'M12 17v.01M12 13.500c0-2.500 3-2.500 3-5a3 3 0 0 0-6 0M12 2a10 10 0 0 1 0 20a10 10 0 0 1 0-20z',
  plate: 'M3 7h18v10H3zM7 10.500v3M10.500 10.500v3M14 10.500h3v3h-3z',
  vault: 'M4 4h16v15H4zM7 19v2M17 19v2M12 8a3.500 3.500 0 0 1 0 7a3.500 3.500 0 0 1 0-7zM12 11.500v.01',
  jobs: 'M12 3a9 9 0 1 1-8.500 6M3 4v5h5M12 8v4.500l3 2',
  system: 'M3 12h4l3-7 4 14 3-7h4',
  settings: 'M4 7h9M17 7h3M15 5v4M4 17h3M11 17h9M9 15v4',
  motion: 'M13 4v.01M10 9l4-1 2 3 3 1M12 9l-2 5 4 2 1 5M10 14l-2 3-4 1M4 8h3M3 11h2',
  box: 'M12 3l8 4.500v9L12 21l-8-4.500v-9zM4 7.500l8 4.500 8-4.500M12 12v9',
  warning: 'M12 4L2.500 20h19zM12 10v4M12 17v.01',
  gap: 'M3 12h5M16 12h5M10 8v8M14 8v8',
  more: 'M5 12v.01M12 12v.01M19 12v.01',
  close: 'M6 6l12 12M18 6L6 18',
  left: 'M15 5l-7 7 7 7',
  right: 'M9 5l7 7-7 7',
  up: 'M5 15l7-7 7 7',
  download: 'M12 4v11M7 11l5 5 5-5M4 20h16',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5',
  plus: 'M12 5v14M5 12h14',
  check: 'M5 12.500l5 5L20 7',
  play: 'M8 5v14l11-7z',
  pause: 'M9 5v14M15 5v14',
  stop: 'M7 7h10v10H7z',
  search: 'M10.500 4a6.500 6.500 0 0 1 0 13a6.500 6.500 0 0 1 0-13zM15.500 15.500L21 21',
  zoomOut: 'M10.500 4a6.500 6.500 0 0 1 0 13a6.500 6.500 0 0 1 0-13zM15.500 15.500L21 21M7.500 10.500h6',
  folder: 'M3 6h6l2 2h10v11H3z',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  link: 'M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1',
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  logout: 'M10 4H4v16h6M15 8l4 4-4 4M19 12H9',
  key: 'M8 11a4 4 0 1 1 0 .01M12 11h9M18 11v4',
  shield: 'M12 3l8 3v6c0 5-4 8-8 9c-4-1-8-4-8-9V6z',
  shot: 'M4 8h4l2-3h4l2 3h4v11H4zM12 10a3 3 0 0 1 0 6a3 3 0 0 1 0-6z',
  full: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  undo: 'M8 5L4 9l4 4M4 9h10a6 6 0 0 1 0 11h-3',
  stepBack: 'M6 5v14M19 5v14L9 12z',
  stepNext: 'M18 5v14M5 5v14l10-7z',
  person: 'M12 4a4 4 0 0 1 0 8a4 4 0 0 1 0-8zM4 21c1-5 4-6 8-6s7 1 8 6',
  disk: 'M4 6c0-3 16-3 16 0v12c0 3-16 3-16 0zM4 6c0 3 16 3 16 0M4 12c0 3 16 3 16 0',
  info: 'M12 3a9 9 0 0 1 0 18a9 9 0 0 1 0-18zM12 11v5M12 8v.01',
  zone: 'M5 6l13-2 2 12-11 4zM5 6v.01M18 4v.01',
  overlay: 'M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M9 9h6v6H9z',
};

/**
 * An icon, for the eye only: what it means must stand beside it or in a label.
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  return svg('svg', { class: 'icon', viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' }, svg('path', { d: PATHS[name] ?? '' }));
}
