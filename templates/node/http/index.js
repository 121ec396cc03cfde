'use strict';

const greeting = process.env.GREETING || 'Hello';

/**
 * Answers one request.
 *
 * @param {object} context the request: method, query, headers, and log to write to
 * @param {*} body the request's body: an object if it was JSON or a form, else a Buffer
 * @returns {Promise<{body: string, headers?: object, statusCode?: number}>} the answer
 */
async function handle(context, body) {
  const name = context.query?.name ?? body?.name ?? 'World';
  return {
    headers: { 'content-type': 'text/plain; charset=utf-8' },
    body: `${greeting}, ${name}!\n`,
  };
}

module.exports = { handle };
