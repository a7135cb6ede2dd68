import { get } from 'node:http';
import type { Settings } from '../model/settings.js';

export interface LabelledUrl {
  readonly label: string;
  readonly url: string;
}

const ANSWER_MS = 1000;

/** The pages of the stack that answered just now, any status. */
export async function reachableUrls(settings: Settings): Promise<LabelledUrl[]> {
  const { web, rabbitmq } = settings;
  const candidates: (LabelledUrl & { readonly display: string })[] = [];
  if (web) candidates.push(page('Page', web.host, web.port, ''));
  if (rabbitmq && rabbitmq.uri === null && rabbitmq.managementPort !== null) {
    // The default password is no secret; any other is not printed.
    const login = rabbitmq.password === 'guest' ? ` (${rabbitmq.user}/guest)` : '';
    candidates.push(page('RabbitMQ', rabbitmq.host, rabbitmq.managementPort, login));
  }
  const answered = await Promise.all(
    candidates.map(async (one) => ((await answers(one.url)) ? [{ label: one.label, url: one.display }] : [])),
  );
  return answered.flat();
}

function page(label: string, host: string, port: number, suffix: string): LabelledUrl & { display: string } {
  const local = host === '127.0.0.1' || host === '0.0.0.0' || host === '::1' || host === '::';
  return {
    label,
    url: `http://${local ? '127.0.0.1' : host}:${port}/`,
    display: `http://${local ? 'localhost' : host}:${port}${suffix}`,
  };
}

function answers(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, { timeout: ANSWER_MS, agent: false }, (response) => {
      response.destroy();
      resolve(true);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}
