// The page of the test. It asks what to do, does it, and tells how it went.
const tell = (what) => fetch("/told", { method: "POST", body: JSON.stringify(what) });

try {
  const { connect, StringCodec } = await import("nats");
  const { makeKeys, connectWithToken, knock } = await import("./client.js");
  const text = StringCodec();
  const { url, login, knocks } = await (await fetch("/task")).json();
  if (knocks) await knock(url);

  let connection;
  if (login === "nothing") {
    connection = await connect({ servers: url, reconnect: false });
  } else {
    const mine = await makeKeys();
    const token = await (await fetch(`/token?public=${mine.publicKey}`)).text();
    const used = login === "stolen" ? await makeKeys() : mine;
    connection = await connectWithToken(url, token, used.privateKey);
  }

  connection.subscribe("browser.greeting", {
    callback: (error, message) => message.respond(text.encode(`hello ${text.decode(message.data)}`)),
  });
  await connection.flush();
  connection.publish("fleet.arrival", text.encode("a browser is here"));
  const answer = await connection.request("fleet.question", text.encode("who are you?"), { timeout: 5000 });
  await tell({ answer: text.decode(answer.data), server: connection.info.server_name });
} catch (error) {
  await tell({ error: String(error), code: error.code ?? "" });
}
