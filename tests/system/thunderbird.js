// What a person does with Thunderbird, as functions; each is called by name from test_thunderbird.py and answers with
// plain values. They use the program's own modules, as its windows do.
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");

const server = () => MailServices.accounts.accounts.find(a => a.incomingServer.type == "imap").incomingServer;
const every = folder => [folder, ...folder.subFolders.flatMap(every)];
const path = folder => (folder.isServer ? "" : folder.onlineName);
const folder = name => {
  for (const one of every(server().rootFolder)) {
    if (!one.isServer && one.QueryInterface(Ci.nsIMsgImapMailFolder) && path(one) == name) return one;
  }
  throw new Error("there is no folder " + name);
};
const find = (name, subject) => {
  for (const one of folder(name).messages) if (one.mime2DecodedSubject == subject) return one;
  throw new Error("there is no message " + subject + " in " + name);
};
const copied = () => {
  let over;
  const end = new Promise(resolve => (over = resolve));
  return [end, { onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() {}, onStopCopy: over,
    QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]) }];
};

const steps = {
  // "Confirm security exception", for the certificate that the server made for itself
  async trust(certificate, host, ports) {
    const known = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).constructX509FromBase64(certificate);
    const exceptions = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService);
    for (const port of ports) exceptions.rememberValidityOverride(host, port, {}, known, false);
  },
  // the settings that the server publishes, an address and a password: nothing else is asked for
  async set_up(xml, address, password) {
    const { JXON } = ChromeUtils.importESModule("resource:///modules/JXON.sys.mjs");
    const { readFromXML } = ChromeUtils.importESModule("resource:///modules/accountcreation/readFromXML.sys.mjs");
    const { AccountConfig } = ChromeUtils.importESModule("resource:///modules/accountcreation/AccountConfig.sys.mjs");
    const { CreateInBackend } = ChromeUtils.importESModule("resource:///modules/accountcreation/CreateInBackend.sys.mjs");
    const config = readFromXML(JXON.build(new DOMParser().parseFromString(xml, "text/xml")), "test");
    AccountConfig.replaceVariables(config, "Somebody", address, password);
    config.rememberPassword = true;
    await CreateInBackend.createAccountInBackend(config);
    const { incoming, outgoing } = config;
    return [incoming, outgoing].map(one => [one.type, one.hostname, one.port, one.socketType, one.username]);
  },
  async folders() {
    return every(server().rootFolder).filter(one => !one.isServer).map(one => one.QueryInterface(Ci.nsIMsgImapMailFolder) && path(one));
  },
  async look() {
    folder("INBOX").updateFolder(null);
    server().performExpand(null);
  },
  async open(name) {
    folder(name).updateFolder(null);
  },
  async subjects(name) {
    return [...folder(name).messages].map(one => one.mime2DecodedSubject);
  },
  async state(name, subject) {
    const one = find(name, subject);
    return { read: one.isRead, flagged: one.isFlagged, keywords: one.getStringProperty("keywords") };
  },
  async send(from, to, subject, body) {
    const account = MailServices.accounts.accounts.find(a => a.incomingServer.type == "imap");
    const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
    Object.assign(fields, { from, to, subject, body });
    const params = Cc["@mozilla.org/messengercompose/composeparams;1"].createInstance(Ci.nsIMsgComposeParams);
    Object.assign(params, { composeFields: fields, identity: account.defaultIdentity, format: Ci.nsIMsgCompFormat.PlainText });
    const compose = MailServices.compose.initCompose(params);
    let over;
    const end = new Promise(resolve => (over = resolve));
    compose.addMsgSendListener({ onStartSending() {}, onSendProgress() {}, onStatus() {}, onGetDraftFolderURI() {},
      onSendNotPerformed: (id, status) => over(status), onTransportSecurityError: (id, status) => over(status),
      onStopSending: (id, status) => over(status), QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener"]) });
    compose.sendMsg(Ci.nsIMsgSend.nsMsgDeliverNow, account.defaultIdentity, account.key, null, null);
    return await end;
  },
  async text(name, subject) {
    const uri = folder(name).getUriForMsg(find(name, subject));
    let over, all = "";
    const end = new Promise(resolve => (over = resolve));
    MailServices.messageServiceFromURI(uri).streamMessage(uri, {
      onStartRequest() {}, onStopRequest: () => over(), QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
      onDataAvailable(request, stream) {
        const input = Cc["@mozilla.org/binaryinputstream;1"].createInstance(Ci.nsIBinaryInputStream);
        input.setInputStream(stream);
        all += input.readBytes(input.available());
      },
    }, null, null, false, "", false);
    await end;
    return all;
  },
  async mark(name, subject, keyword) {
    const one = find(name, subject);
    folder(name).markMessagesRead([one], true);
    folder(name).markMessagesFlagged([one], true);
    folder(name).addKeywordsToMessages([one], keyword);
  },
  async make(name) {
    server().rootFolder.createSubfolder(name, null);
  },
  async rename(name, target) {
    folder(name).rename(target, null);
  },
  async copy(name, subject, target, move) {
    const [end, listener] = copied();
    MailServices.copy.copyMessages(folder(name), [find(name, subject)], folder(target), move, listener, null, true);
    return await end;
  },
  async remove(name, subject) {
    const [end, listener] = copied();
    folder(name).deleteMessages([find(name, subject)], null, false, false, listener, true);
    return await end;
  },
  async search(name, words) {
    const session = Cc["@mozilla.org/messenger/searchSession;1"].createInstance(Ci.nsIMsgSearchSession);
    session.addScopeTerm(Ci.nsMsgSearchScope.onlineMail, folder(name));
    const term = session.createTerm(), value = term.value;
    value.attrib = term.attrib = Ci.nsMsgSearchAttrib.Body;
    value.str = words;
    Object.assign(term, { op: Ci.nsMsgSearchOp.Contains, value, booleanAnd: false });
    session.appendTerm(term);
    const hits = [];
    let over;
    const end = new Promise(resolve => (over = resolve));
    session.registerListener({ onSearchHit: one => hits.push(one.mime2DecodedSubject), onSearchDone: over, onNewSearch() {},
      QueryInterface: ChromeUtils.generateQI(["nsIMsgSearchNotify"]) });
    session.search(null);
    await end;
    return hits;
  },
};
