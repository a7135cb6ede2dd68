import type { Args } from '../codec/methods.js';
import { AmqpError } from '../engine/trouble.js';
import { serverProperties, type Identity } from './identity.js';

/** The eight bytes with which a client of AMQP 0-9-1 begins. */
export const HEADER = Buffer.from('AMQP\0\0\x09\x01', 'latin1');
export const CHANNEL_MAX = 2047;
export const FRAME_MAX = 131_072;

/** AMQP's own lower limit. */
const FRAME_MIN = 4096;

export function startOf(identity: Identity): Args<'connection.start'> {
  return {
    major: 0,
    minor: 9,
    properties: serverProperties(identity),
    mechanisms: Buffer.from('AMQPLAIN PLAIN'),
    locales: Buffer.from('en_US'),
  };
}

/** 0 means the server's limit. @throws AmqpError 530 for limits that were not offered */
export function assertLimits({ frameMax, channelMax }: Args<'connection.tune-ok'>): void {
  if (frameMax !== 0 && (frameMax < FRAME_MIN || frameMax > FRAME_MAX)) {
    throw new AmqpError(
      'NOT_ALLOWED',
      `negotiated frame_max = ${frameMax} is not between ${FRAME_MIN} and ${FRAME_MAX}`,
    );
  }
  if (channelMax > CHANNEL_MAX) {
    throw new AmqpError(
      'NOT_ALLOWED',
      `negotiated channel_max = ${channelMax} is higher than the maximum allowed value (${CHANNEL_MAX})`,
    );
  }
}
