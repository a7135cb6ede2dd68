import { SyntaxTrouble } from '../codec/bytes.js';
import { FrameTrouble } from '../codec/frames.js';
import { AmqpError } from '../engine/trouble.js';

/** How a client is told about what its bytes did; a bug of ours goes on as it is. */
export function asAmqpError(error: unknown): AmqpError {
  if (error instanceof AmqpError) return error;
  if (error instanceof FrameTrouble) return new AmqpError('FRAME_ERROR', error.message);
  if (error instanceof SyntaxTrouble) return new AmqpError('SYNTAX_ERROR', error.message);
  throw error;
}
