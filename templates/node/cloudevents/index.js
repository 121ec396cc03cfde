'use strict';

const { CloudEvent } = require('cloudevents');

const greeting = process.env.GREETING || 'Hello';

/**
 * Answers one event. What it returns goes back to the sender; a broker passes it
 * on to whoever wants its type. With an error the sender tries again.
 *
 * @param {object} context the request: method, query, headers, and log to write to
 * @param {CloudEvent} event what came in
 * @returns {Promise<CloudEvent>} the answer
 */
async function handle(context, event) {
  if (!event?.type) {
    return { statusCode: 400, body: 'this function takes CloudEvents\n' };
  }
  const name = event.data?.name ?? 'World';
  return new CloudEvent({
    type: 'function.greeted',
    source: '/function',
    data: { message: `${greeting}, ${name}!` },
  });
}

module.exports = { handle };
