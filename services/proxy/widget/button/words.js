/** What the button is called before anything else is loaded. @type {Record<string, string>} */
export const OPEN = {
  en: "Open the chat",
  de: "Chat öffnen",
  es: "Abrir el chat",
  fr: "Ouvrir le chat",
  pt: "Abrir o chat",
  it: "Apri la chat",
  nl: "Chat openen",
  pl: "Otwórz czat",
  tr: "Sohbeti aç",
  ar: "فتح الدردشة",
  he: "פתיחת הצ׳אט",
  hi: "चैट खोलें",
  ja: "チャットを開く",
  ko: "채팅 열기",
  "zh-Hans": "打开聊天",
  "zh-Hant": "開啟聊天",
};
