/** CSI sequences (colours, cursor), OSC sequences (titles, links) and two-character escapes; 7-bit and 8-bit forms. */
const ANSI =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b\]|\u009d)[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[PX^_][^\u001b\u009c]*(?:\u001b\\|\u009c)?|\u001b[ -/]*[0-~]/g;

/** The text without terminal escape sequences. */
export function stripAnsi(text: string): string {
  return text.includes('\u001b') || text.includes('\u009b') || text.includes('\u009d') ? text.replace(ANSI, '') : text;
}

const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/** What is left of the control characters, made visible (`\x07`), so that no log line can drive the reader's terminal. */
export function visibleControls(text: string): string {
  // Bidirectional overrides reorder what is read (CVE-2021-42574): shown as their code, too.
  return !CONTROLS.test(text)
    ? text
    : text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, (character) => {
        const code = character.charCodeAt(0);
        if (character === '\r') return '\\r';
        return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`;
      });
}
