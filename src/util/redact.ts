/** What stands in the place of a secret. */
export const REDACTED = '***';

const SECRET_NAME = /pass(word|wd|phrase)?$|secret|token|api_?key|private_?key|credential|cookie|_dsn$/i;

/** True when a variable or setting of this name usually holds a secret. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}

/**
 * The text with every password in its URIs hidden (`amqp://ana:***@host/`), also in lists of hosts and in query parameters that
 * are named like secrets. Text without a URI stays as it is.
 */
export function redactUri(text: string): string {
  return (
    text
      // Up to the last @, because people paste passwords with @ and / unescaped; digits before a / are a port.
      .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s:@/?#]*):(?!\d+(?:[/?#]|$))[^\s"'<>]*@/gi, `$1:${REDACTED}@`)
      .replace(/([?&]([^=&\s#]+)=)([^&\s#]*)/g, (whole, head: string, name: string) =>
        isSecretName(name) ? `${head}${REDACTED}` : whole,
      )
  );
}
