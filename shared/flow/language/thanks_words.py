"""Phrases of mere thanks, by language (see `thanks`): what thanks, and what may stand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Between bars.
OWN_THANKS: Final[Mapping[str, tuple[str, str]]] = {
    "ar": (
        "شكرا|شكرا لك|شكرا لكم|شكرا جزيلا|ألف شكر|مشكور|مشكورين|جزاك الله خيرا|أشكرك",
        "جدا|كثيرا|حسنا|تمام|ممتاز|مع السلامة|إلى اللقاء|على المساعدة|نعم",
    ),
    "de": (
        "danke|danke dir|danke ihnen|vielen dank|besten dank|herzlichen dank|lieben dank|tausend dank"
        "|ich danke ihnen|ich danke dir|dankeschön|danke schön|dankesehr|danke sehr|merci|danke euch",
        "sehr|schön|vielmals|nochmals|nochmal|ok|okay|alles klar|super|prima|toll|perfekt|wunderbar"
        "|bestens|klasse|für die hilfe|für ihre hilfe|für deine hilfe|für die schnelle hilfe"
        "|für die schnelle antwort|tschüss|tschüß|ciao|auf wiedersehen|bis bald|schönen tag"
        "|schönen tag noch|einen schönen tag|einen schönen tag noch|schönes wochenende|schönen abend"
        "|schönen abend noch|ihnen auch|dir auch|ebenfalls|und|ja|gut",
    ),
    "en": (
        "thanks|thank you|thank u|thankyou|thx|thnx|tnx|ty|many thanks|cheers|much appreciated"
        "|i appreciate it|appreciate it|thanks a lot|thanks a million|thanks a bunch",
        "so much|very much|again|ok|okay|great|perfect|super|awesome|excellent|brilliant|wonderful"
        "|cool|nice|lovely|all good|got it|that helped|that is great|that's great|that is perfect"
        "|that's perfect|for your help|for the help|for your time|for helping|for the quick reply"
        "|for the quick answer|bye|goodbye|bye bye|see you|take care|have a nice day|have a good day"
        "|have a great day|you too|and|yes|good|a lot",
    ),
    "es": (
        "gracias|muchas gracias|mil gracias|muchísimas gracias|se lo agradezco|te lo agradezco",
        "ok|vale|perfecto|genial|excelente|muy amable|por la ayuda|por su ayuda|por tu ayuda|por todo"
        "|adiós|hasta luego|hasta pronto|buen día|que tenga un buen día|igualmente|y|sí|bien|muy bien",
    ),
    "fr": (
        "merci|merci beaucoup|mille mercis|un grand merci|grand merci|merci bien|je vous remercie"
        "|je te remercie",
        "ok|d'accord|parfait|super|génial|très bien|bien|infiniment|encore|à vous|à toi"
        "|pour votre aide|pour ton aide|pour l'aide|pour tout|au revoir|à bientôt|bonne journée"
        "|bonne soirée|bon week end|et|oui",
    ),
    "he": (
        "תודה|תודה רבה|המון תודה|תודה לך|תודה לכם|רב תודות",
        "אוקיי|בסדר|מעולה|מצוין|על העזרה|להתראות|יום טוב|יום נעים|כן",
    ),
    "hi": (
        "धन्यवाद|शुक्रिया|बहुत धन्यवाद|बहुत बहुत धन्यवाद|बहुत शुक्रिया|आपका धन्यवाद",
        "जी|ठीक है|अच्छा|बहुत अच्छा|मदद के लिए|नमस्ते|हाँ",
    ),
    "it": (
        "grazie|grazie mille|molte grazie|tante grazie|mille grazie|la ringrazio|ti ringrazio|vi ringrazio",
        "ok|va bene|perfetto|ottimo|benissimo|ancora|per l'aiuto|per tutto|arrivederci|ciao|a presto"
        "|buona giornata|buona serata|altrettanto|e|sì|bene",
    ),
    "ja": (
        "ありがとう|ありがとうございます|ありがとうございました|有難うございます|有難うございました|どうもありがとう|どうもありがとうございます|どうもありがとうございました|助かりました"
        "|感謝します",
        "はい|了解です|了解しました|わかりました|分かりました|どうも|では|失礼します|お世話になりました|本当に",
    ),
    "ko": (
        "감사합니다|감사해요|고맙습니다|고마워요|고마워|대단히 감사합니다|정말 감사합니다|정말 고맙습니다",
        "네|예|좋아요|알겠습니다|정말|너무|수고하세요|안녕히 계세요|좋은 하루 되세요|도와주셔서",
    ),
    "nl": (
        "bedankt|dank|dank je|dank je wel|dankjewel|dank u|dank u wel|dankuwel|hartelijk dank"
        "|heel erg bedankt|veel dank|bedankt hoor",
        "ok|oké|oke|prima|super|perfect|top|fijn|voor de hulp|voor je hulp|voor uw hulp|tot ziens"
        "|doei|fijne dag|fijne dag nog|en|ja|goed",
    ),
    "pl": (
        "dziękuję|dzięki|bardzo dziękuję|dziękuję bardzo|wielkie dzięki|dzięki wielkie|dziękuje"
        "|bardzo dziękuje",
        "ok|okej|dobrze|super|świetnie|za pomoc|do widzenia|miłego dnia|pozdrawiam|i",
    ),
    "pt": (
        "obrigado|obrigada|muito obrigado|muito obrigada|valeu|obrigadão|agradeço|agradecido|agradecida",
        "ok|certo|perfeito|ótimo|excelente|pela ajuda|por tudo|tchau|até logo|até mais|bom dia"
        "|boa tarde|boa noite|tenha um bom dia|igualmente|e|sim|bem",
    ),
    "tr": (
        "teşekkürler|teşekkür ederim|çok teşekkürler|çok teşekkür ederim|sağ olun|sağol|sağolun|sağ ol",
        "tamam|peki|harika|süper|mükemmel|yardımınız için|iyi günler|kolay gelsin|hoşça kalın|görüşürüz|evet",
    ),
    "zh": (
        "谢谢|谢谢你|谢谢您|非常感谢|多谢|感谢|十分感谢|太感谢了|谢谢了|感谢您的帮助|谢谢你的帮助|谢谢您的帮助|謝謝|謝謝你|謝謝您|非常感謝|多謝|感謝|十分感謝|太感謝了|謝謝了"
        "|感謝您的幫助|謝謝你的幫助|謝謝您的幫助",
        "好的|好|嗯|明白了|知道了|再见|再見|拜拜|没问题了|沒問題了|辛苦了",
    ),
}
