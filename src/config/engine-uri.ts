/** What an engine's URI says beside its secrets. */
export interface UriParts {
  readonly host: string;
  readonly port: number;
  /** Database or vhost; null when the URI names none. */
  readonly name: string | null;
  readonly user: string | null;
  readonly password: string | null;
}

/**
 * Splits `mongodb://`, `mongodb+srv://`, `amqp://` and `amqps://` URIs; of a list of hosts the first counts. Undefined when the URI
 * cannot be read.
 */
export function parseEngineUri(uri: string): UriParts | undefined {
  const match = /^([a-z][a-z0-9+.-]*):\/\/(?:([^/?#]*)@)?([^/?#,]+)(?:,[^/?#]*)?(?:\/([^?#]*))?/i.exec(uri);
  if (!match) return undefined;
  const [, scheme = '', account, address = '', path] = match;
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? defaultPort(scheme.toLowerCase()) : Number(digits);
  const colon = account?.indexOf(':') ?? -1;
  try {
    return host === undefined || port < 1 || port > 65_535
      ? undefined
      : {
          host,
          port,
          name: path === undefined || path === '' ? null : decodeURIComponent(path),
          user: account === undefined ? null : decodeURIComponent(colon < 0 ? account : account.slice(0, colon)),
          password: account === undefined || colon < 0 ? null : decodeURIComponent(account.slice(colon + 1)),
        };
  } catch {
    return undefined; // a % that escapes nothing
  }
}

function defaultPort(scheme: string): number {
  switch (scheme) {
    case 'amqp':
      return 5672;
    case 'amqps':
      return 5671;
    default:
      return 27_017;
  }
}
