// What this browser remembers: nothing of it matters to the server.

/**
 * @param {string} key
 * @param {string} fallback
 * @returns {string}
 */
export function pref(key, fallback) {
  try {
    return localStorage.getItem(`keepwatch.${key}`) ?? fallback;
  } catch {
    return fallback;
  }
}

/**
 * @param {string} key
 * @param {string|null} value null forgets it
 */
export function setPref(key, value) {
  try {
    if (value === null) localStorage.removeItem(`keepwatch.${key}`);
    else localStorage.setItem(`keepwatch.${key}`, value);
  } catch {
    // Private windows may refuse; the setting then lasts as long as the page.
  }
}

/** @returns {'system'|'light'|'dark'} */
export function theme() {
  const set = document.documentElement.dataset.theme;
  return set === 'dark' || set === 'light' ? set : 'system';
}

/** @param {'system'|'light'|'dark'} value */
export function setTheme(value) {
  if (value === 'system') {
    delete document.documentElement.dataset.theme;
    setPref('theme', null);
  } else {
    document.documentElement.dataset.theme = value;
    setPref('theme', value);
  }
}
