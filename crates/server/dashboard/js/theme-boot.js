// A classic script in the head, so that the page is never painted in the wrong theme first.
try {
  const theme = localStorage.getItem('keepwatch.theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden; the system's theme is used then.
}
