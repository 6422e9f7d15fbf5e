// A Choria client in a browser: its key is made here, cannot be read by any script, and signs the broker's challenge.
import { connect } from "nats";

/** Make a key pair for this browser; an issuer puts the public half, 64 hexadecimal digits, into a client token. */
export async function makeKeys() {
  const keys = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  const raw = new Uint8Array(await crypto.subtle.exportKey("raw", keys.publicKey));
  const publicKey = Array.from(raw, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { publicKey, privateKey: keys.privateKey };
}

/**
 * Make one plain request to the port of the broker. A broker with a CA asks for certificates without demanding one.
 * A browser cancels a websocket when that happens, unless an earlier request has settled that there is none.
 */
export async function knock(url) {
  await fetch(url.replace(/^ws/, "http"), { mode: "no-cors", credentials: "include" });
}

/** Connect with a client token and the key it was issued for. */
export function connectWithToken(url, token, privateKey) {
  let socket;
  return connect({
    servers: url,
    reconnect: false,
    wsFactory: async (address) => {
      socket = new SigningSocket(address, privateKey);
      return { socket, encrypted: address.startsWith("wss:") };
    },
    authenticator: () => ({ auth_token: token, sig: socket.signature }),
  });
}

/**
 * A websocket that signs the challenge before nats.js sees it: nats.js wants the signature at once, and the browser
 * makes it in its own time.
 */
class SigningSocket extends WebSocket {
  signature = "";

  constructor(address, privateKey) {
    super(address);
    this.privateKey = privateKey;
  }

  set onmessage(handler) {
    super.onmessage = async (event) => {
      // The first message is INFO. Nothing follows it before the answer.
      if (!this.signature) this.signature = await this.sign(event.data);
      handler(event);
    };
  }

  async sign(message) {
    const { nonce } = JSON.parse(new TextDecoder().decode(message).slice("INFO ".length));
    const signed = await crypto.subtle.sign("Ed25519", this.privateKey, new TextEncoder().encode(nonce));
    const text = btoa(String.fromCharCode(...new Uint8Array(signed)));
    return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  }
}
