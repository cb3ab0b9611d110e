import { createHmac, randomUUID } from 'node:crypto';
import { APP, type Installation, WEBHOOK_SECRET } from './installation.js';

/** A ref that no pipeline listens to. */
const OTHER_REF = 'refs/heads/other';
const ZEROS = '0'.repeat(40);

export interface Delivery {
  readonly id?: string;
  readonly ref?: string;
  readonly before?: string;
  readonly after: string;
}

export interface Answer {
  readonly status: number;
  readonly body: { readonly eventIds?: readonly string[]; readonly repeated?: boolean; readonly error?: { readonly code?: string } };
}

export const sign = (body: string | Uint8Array, secret = WEBHOOK_SECRET): string =>
  `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;

/** What the hook of a repository sends. */
export const hookRequest = ({ id = randomUUID(), ref = OTHER_REF, before = ZEROS, after }: Delivery) => {
  const body = JSON.stringify({ repository: { name: APP }, ref, before, after, delivery: id });
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'x-pipit-delivery': id,
    'x-pipit-signature-256': sign(body),
  };
  return { method: 'POST', headers, body };
};

export const post = async ({ url }: Installation, request: RequestInit): Promise<Answer> => {
  const response = await fetch(`${url}/hooks/local`, request);
  return { status: response.status, body: (await response.json()) as Answer['body'] }; // our server's own shapes
};

export const deliver = (installation: Installation, delivery: Delivery): Promise<Answer> => post(installation, hookRequest(delivery));
