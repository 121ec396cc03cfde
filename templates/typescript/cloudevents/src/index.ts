import { CloudEvent } from 'cloudevents';
import { Context, StructuredReturn } from 'faas-js-runtime';

const greeting = process.env.GREETING || 'Hello';

type Person = { name?: string };
type Greeting = { message: string };

/**
 * Answers one event. What it returns goes back to the sender; a broker passes it
 * on to whoever wants its type. With an error the sender tries again.
 *
 * @param context the request: method, query, headers, and log to write to
 * @param event what came in
 */
export const handle = async (context: Context, event?: CloudEvent<Person>): Promise<CloudEvent<Greeting> | StructuredReturn> => {
  if (!event?.type) {
    return { statusCode: 400, body: 'this function takes CloudEvents\n' };
  }
  const name = event.data?.name ?? 'World';
  return new CloudEvent<Greeting>({
    type: 'function.greeted',
    source: '/function',
    data: { message: `${greeting}, ${name}!` },
  });
};
