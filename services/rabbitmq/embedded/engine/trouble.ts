/** RabbitMQ's reply codes: soft ones close the channel, hard ones the connection. */
const CODES = {
  CONTENT_TOO_LARGE: [311, 'soft'],
  NO_CONSUMERS: [313, 'soft'],
  CONNECTION_FORCED: [320, 'hard'],
  INVALID_PATH: [402, 'hard'],
  ACCESS_REFUSED: [403, 'soft'],
  NOT_FOUND: [404, 'soft'],
  RESOURCE_LOCKED: [405, 'soft'],
  PRECONDITION_FAILED: [406, 'soft'],
  FRAME_ERROR: [501, 'hard'],
  SYNTAX_ERROR: [502, 'hard'],
  COMMAND_INVALID: [503, 'hard'],
  CHANNEL_ERROR: [504, 'hard'],
  UNEXPECTED_FRAME: [505, 'hard'],
  RESOURCE_ERROR: [506, 'hard'],
  NOT_ALLOWED: [530, 'hard'],
  NOT_IMPLEMENTED: [540, 'hard'],
  INTERNAL_ERROR: [541, 'hard'],
} as const;
export type CodeName = keyof typeof CODES;

/** What ends a channel or a connection: the client gets code and text as RabbitMQ would word them. */
export class AmqpError extends Error {
  override readonly name = 'AmqpError';
  readonly code: number;
  readonly hard: boolean;
  constructor(codeName: CodeName, text: string, hard = CODES[codeName][1] === 'hard') {
    super(`${codeName} - ${text}`);
    this.code = CODES[codeName][0];
    this.hard = hard;
  }
}

export function refused(text: string): AmqpError {
  return new AmqpError('PRECONDITION_FAILED', text);
}
