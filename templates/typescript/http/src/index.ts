import { Context, IncomingBody, StructuredReturn } from 'faas-js-runtime';

const greeting = process.env.GREETING || 'Hello';

/**
 * Answers one request.
 *
 * @param context the request: method, query, headers, and log to write to
 * @param body the request's body: an object if it was JSON or a form, else a Buffer
 */
export const handle = async (context: Context, body?: IncomingBody): Promise<StructuredReturn> => {
  const sent = body as { name?: string } | undefined;
  const name = context.query?.name ?? sent?.name ?? 'World';
  return {
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: `${greeting}, ${name}!\n`,
  };
};
