"""Conversations as the reference library renders them.

Run with transformers 5.24.0 after `cargo xtask setup`:
    python make_chat.py TEMPLATES SMOLLM2.gguf        (target/templates, and the default model)
Reads chat/cases.json, and chat/*.jinja, which are ours. Writes chat/published.json and chat/probes.json.

published.json has, for each published template and conversation, the number of renderings, their
bytes, and the SHA-256 of all of them in UTF-8, each after its length and a colon, or -1 where the
template refuses the conversation. Published text itself is kept out of the repository. Renderings are
in the order: extras, without and with tools, closed and open; those of an extra whose variables the
template does not name are left out, as are those with tools where the template does not name tools.
    python make_chat.py TEMPLATES SMOLLM2.gguf TEMPLATE CONVERSATION
prints the renderings as JSON instead.
probes.json has small templates of ours, each with its text, or null where it is refused.
"""
import datetime
import hashlib
import json
import pathlib
import sys

import gguf
import transformers
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent / "chat"
CASES = json.loads((HERE / "cases.json").read_text())
NOW = datetime.datetime.fromisoformat(CASES["now"])


class Clock(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


chat_template_utils.datetime = Clock

# What templates of chat models use, and the corners of what they use.
PROBES = r"""
{{ messages }}
{{ messages[::-1] | map(attribute='content') | list }}
{{ messages[1:] | length }} {{ messages[-1].content }} {{ messages[:-1] | length }}
{{ true }} {{ false }} {{ none }} {{ undefined_name }}|
{{ 1 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 10 }} {{ 1.0 }} {{ 1e16 }} {{ 0.00001 }} {{ 10 / 2 }}
{{ [1, 2.0, 'a', "it's", none, true] }} {{ {'a': 1, 'b': [2]} }} {{ (1, 2) }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.5 }}
{{ {'b': 1, 'a': {'x': [1, 2, {}], 'y': []}} | tojson }}
{{ {'b': 1, 'a': {'x': [1, 2, {}], 'y': []}} | tojson(indent=2) }}
{{ {'b': 1, 'a': {'x': [1, 2]}} | tojson(indent=4, sort_keys=true) }}
{{ {'b': 1, 'a': 2} | tojson(separators=(',', ':')) }} {{ [1, 2] | tojson(indent=0) }}
{{ 'é<&>\'"\\\n\t/' | tojson }} {{ 'é😀' | tojson(ensure_ascii=true) }} {{ 'é' | tojson(true) }}
{{ [0.1, 1e-7, 1e22, 100.0, 1.5e300, 12345678901234567890] | tojson }}
{{ {1: 'a', none: 'b', true: 'c'} | tojson }}
{{ none | tojson }} {{ true | tojson }} {{ (1, 2) | tojson }} {{ messages | tojson }}
{{ undefined_name | tojson }}
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ 'abc'.split('</think>')[-1] }}
{{ '  x '.strip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcab'.lstrip('ab') }}|{{ 'abcab'.rstrip('ab') }}|{{ '\n\n a'.lstrip('\n') }}|
{{ '\x1c a \x1f' | trim | length }} {{ 'xax' | trim('x') }}
{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'abc'.startswith(('x', 'y')) }}
{{ 'abc'.upper() }} {{ 'ABC' | lower }} {{ 'hello world'.title() }} {{ 'hello WORLD' | capitalize }} {{ 'hello' | title }}
{{ 'a-b-c'.replace('-', '+') }} {{ 'a-b-c'.replace('-', '+', 1) }} {{ 'aaa' | replace('a', 'b', 2) }}
{{ 'a'.join(['x', 'y']) }} {{ ['x', 1, none] | join(', ') }} {{ [{'n': 1}, {'n': 2}] | join('-', attribute='n') }}
{{ 'abcabc'.find('c') }} {{ 'abc'.find('x') }} {{ 'abcabc'.count('b') }} {{ 'abc'.rfind('c') }}
{{ 'one\ntwo\r\nthree'.splitlines() }} {{ 'a\n'.splitlines() }}
{{ 'abc'[1] }} {{ 'abc'[::-1] }} {{ 'abcdef'[1:4] }} {{ 'abc'[-2:] }}
{{ 'b' in 'abc' }} {{ 'b' in ['a', 'b'] }} {{ 'role' in messages[0] }} {{ 'x' not in messages[0] }}
{{ {'a': 1}.get('a') }} {{ {'a': 1}.get('b') }} {{ {'a': 1}.get('b', 2) }} {{ {'a': 1}.items() | list }} {{ {'a': 1}.keys() | list }} {{ {'a': 1}.values() | list }}
{% for k, v in {'b': 1, 'a': 2} | items %}{{ k }}={{ v }};{% endfor %}{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}={{ v }};{% endfor %}
{% for k, v in {'b': 1, 'a': 2}.items() %}{{ k }}={{ v }}{{ ',' if not loop.last }}{% endfor %}
{{ 'x' is string }} {{ 1 is number }} {{ 1 is integer }} {{ 1.0 is float }} {{ true is boolean }} {{ none is none }} {{ true is number }} {{ true is integer }}
{{ 'x' is iterable }} {{ [] is iterable }} {{ {} is iterable }} {{ 1 is iterable }} {{ none is iterable }}
{{ 'x' is sequence }} {{ [] is sequence }} {{ {} is sequence }} {{ 1 is sequence }} {{ () is sequence }}
{{ {} is mapping }} {{ [] is mapping }} {{ messages[0] is mapping }}
{{ x is defined }} {{ x is undefined }} {{ messages[0].nothing is defined }} {{ tools is none }} {{ tools is defined }}
{{ false is false }} {{ 0 is false }} {{ 1 is true }} {{ true is true }} {{ 1 is sameas 1 }} {{ none is sameas none }}
{{ 3 is odd }} {{ 3 is even }} {{ 4 is divisibleby 2 }} {{ 'a' is in ['a'] }} {{ 1 is eq 1 }} {{ 'abc' is lower }}
{{ x | default('d') }} {{ none | default('d') }} {{ none | default('d', true) }} {{ '' or 'e' }} {{ x.y | default('d') }}
{{ x.y }}
{{ x.y.z }}
{{ messages[0].nothing.more }}
{{ messages[7] }}|{{ messages[7] is defined }}
{{ messages[7].role }}
{{ [] | first }}|{{ [] | last }}|{{ [3, 4] | first }}{{ [3, 4] | last }}
{{ 'a' + 1 }}
{{ 1 + none }}
{{ none + 'a' }}
{{ 'a' * 3 }} {{ [1] * 2 }} {{ [1] + [2] }} {{ (1,) + (2,) }}
{{ [3, 1, 2] | sort }} {{ [3, 1, 2] | sort(reverse=true) }} {{ [1, 1, 2] | unique | list }} {{ [1, 2, 3] | sum }} {{ [1, 2] | max }} {{ [1, 2] | min }} {{ [1, 2] | reverse | list }}
{{ [{'a': 1, 'r': 'x'}, {'a': 2, 'r': 'y'}] | selectattr('r', 'equalto', 'y') | list }} {{ [{'a': 1}, {'b': 2}] | selectattr('a') | list }} {{ [{'a': 1}, {'b': 2}] | rejectattr('a', 'defined') | list }}
{{ [1, 2, 3, 4] | select('odd') | list }} {{ ['a', 'b'] | reject('equalto', 'a') | list }} {{ ['a', 'b'] | map('upper') | join }}
{% set ns = namespace(found=false, n=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.found = true %}{% endif %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.found }} {{ ns.n }}
{% set x = 1 %}{% for m in messages %}{% set x = x + 1 %}{% endfor %}{{ x }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}
{% for i in range(5) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}
{% for i in range(2, 9, 3) %}{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.first }}/{{ loop.last }}/{{ loop.length }}:{{ i }} {% endfor %}
{% for i in [1, 2, 3] %}{{ loop.previtem }}<{{ i }}<{{ loop.nextitem }} {{ loop.changed(i // 2) }};{% endfor %}
{% for i in [] %}x{% else %}none{% endfor %}{% for i in [1, 2, 3] if i != 2 %}{{ i }}{{ loop.length }}{% endfor %}
{% for a, b in [(1, 2), (3, 4)] %}{{ a }}{{ b }}{% endfor %}
{% macro f(a, b='d') -%} [{{ a }}{{ b }}] {%- endmacro %}{{ f(1) }}{{ f(1, 2) }}{{ f(b=3, a=4) }}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(3) }}
{% set x %}block {{ 1 }}{% endset %}{{ x }} {{ x | length }} {{ x is string }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}
{% with a = 1 %}{{ a }}{% endwith %}{{ a is defined }}
{% raw %}{{ raw }}{% endraw %} {# comment #}end
{{ raise_exception('no such role') }}
{{ strftime_now('%d %b %Y') }} {{ strftime_now('%Y-%m-%d %H:%M:%S %A %B %j %p %I %y %%') }} {{ strftime_now('%-d %-m %e') }}
{% generation %}said {{ 1 }}{% endgeneration %} after
{% for m in messages %}{%- generation -%}  {{ m.content }}  {%- endgeneration -%}  {% endfor %}
{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}
{{ 'yes' if messages[0].role == 'system' else 'no' }} {{ 'only' if false }}|
{{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ not 0 }} {{ 1 and 'a' }} {{ '' or 0 }} {{ 'a' if [] else 'b' }}
{{ "a" "b" }} {{ 'tab\there' }} {{ "\u00e9" }} {{ '\x41' }}
{{ dict(a=1, b=2) }} {{ dict(a=1)['a'] }} {{ 'abc' | list }} {{ 'abc' | length }} {{ {'a': 1} | length }} {{ {'a': 1} | list }}
{{ '%s is %d' | format('x', 3) }} {{ '{} and {}'.format('a', 1) }}
{{ 3.7 | int }} {{ '12' | int }} {{ 'x' | int }} {{ '1.5' | float }} {{ 3.14159 | round(2) }} {{ 2.5 | round }} {{ -3 | abs }} {{ 5 | string }} {{ none | string }} {{ 1.0 | string }}
{{ '<b>' | escape }} {{ '<b>' | safe }} {{ '<b>' | e }}
{{ 'a\nb' | indent(2) }} {{ 'a\nb' | indent(2, true) }}
{{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [{'a': 1}, {'a': 1}, {'a': 2}] | groupby('a') | length }}
{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token }}{{ sep_token }}
{{ messages[0]['role'] }} {{ messages[0].role }} {{ messages[0].get('role') }} {{ (messages | first).role }} {{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | first }}
{{ not messages[0].content }} {{ messages[0].content | length > 3 }} {{ messages | length - 1 }}
{{ 'abc'.isdigit() }} {{ '12'.isdigit() }} {{ 'abc'.isalpha() }} {{ 'ab c'.islower() }} {{ ' '.isspace() }}
{%- if messages %}  yes  {%- endif %}  {%+ if true %} a {% endif %}
{% include 'other' %}
{% if %}
{{ unclosed
{% for m in messages %}
{{ messages | nosuchfilter }}
{{ nosuchfunction() }}
{{ messages is nosuchtest }}
{{ 'abc'.nosuchmethod() }}
{{ messages[0].content.split(' ')[0] }} {{ messages[0].content.nothing }}
{{ messages[0].items() | list }}
{{ ([1, 2] | tojson) ~ 'x' }} {{ ([1] | tojson).startswith('[') }}
{{ (messages | length) == 2 and messages[1].role != 'user' }}
{{ [1, [2, [3]]] }} {{ {'a': {'b': 'c'}} }} {{ ['a"b', "c'd", 'e\nf'] }}
{{ messages.append({}) }}
{{ ''.__class__ }}
{% do messages %}
{% set ns = namespace() %}{% set ns.a = [] %}{% set ns.a = ns.a + [1] %}{{ ns.a }} {{ ns.b is defined }}
{{ range(3) | list }} {{ 'a' < 'b' }} {{ [1, 2] == [1, 2] }} {{ 'é' | upper }} {{ 'ß'.upper() }}
{{ messages | map(attribute='nothing', default='d') | list }} {{ messages | selectattr('nothing', 'defined') | list }}
""".strip("\n").split("\n") + [
    "a\n{% if true %}\nb\n  {% endif %}\nc\n",
    "  {%- if true -%}\n x \n{%- endif %}\n\n{{ 1 }}\n\n",
    "{% set x = 1 %}\n  {# comment #}\n{{ x }}\n  {{ x }}\n",
    "line {{ 1 }}\r\n{% if true %}\r\nnext{% endif %}\r\n",
    "\n\n{{- 1 -}}\n\n",
    "{% for m in messages %}\n{{ m.role }}: {{ m.content }}\n{% endfor %}\n",
    "    {% generation %}\n  x\n    {% endgeneration %}\n y",
]


def tokenizer():
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"<|unk|>": 0}, unk_token="<|unk|>")),
                                   **CASES["special_tokens"])


def render(tok, template, messages, **kwargs):
    try:
        return tok.apply_chat_template(messages, chat_template=template, tokenize=False, **kwargs)
    except Exception:
        return None


def renderings(tok, template, messages):
    for extras in CASES["extras"].values():
        if extras and not any(name in template for name in extras):
            continue
        for tools in (None, CASES["tools"]):
            if tools and "tools" not in template:
                continue
            for opened in (False, True):
                yield render(tok, template, messages, tools=tools, add_generation_prompt=opened, **extras)


def digest(texts):
    blobs = [b"-1:" if t is None else b"%d:%s" % (len(t.encode()), t.encode()) for t in texts]
    size = sum(len(t.encode()) for t in texts if t is not None)
    return f"{len(texts)} {size} {hashlib.sha256(b''.join(blobs)).hexdigest()}"


def main():
    folder, model = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    templates = {p.name: p.read_text() for p in sorted(folder.glob("*.jinja"))}
    reader = gguf.GGUFReader(model)
    templates["smollm2"] = reader.fields["tokenizer.chat_template"].contents()
    for p in sorted(HERE.glob("*.jinja")):
        templates["ours/" + p.name] = p.read_text()
    tok = tokenizer()
    if len(sys.argv) > 3:
        texts = renderings(tok, templates[sys.argv[3]], CASES["conversations"][sys.argv[4]])
        return print(json.dumps(list(texts), indent=1, ensure_ascii=False))
    texts = {t: {c: list(renderings(tok, source, messages)) for c, messages in CASES["conversations"].items()}
             for t, source in templates.items()}
    published = {t: {c: digest(r) for c, r in all.items()} for t, all in texts.items()}
    (HERE / "published.json").write_text(json.dumps(published, indent=0) + "\n")
    messages = CASES["conversations"]["answered"]
    probes = [[p, render(tok, p, messages, add_generation_prompt=False)] for p in PROBES]
    (HERE / "probes.json").write_text(json.dumps(probes, indent=0, ensure_ascii=False) + "\n")
    done = [r for all in texts.values() for rs in all.values() for r in rs]
    print(transformers.__version__, len(templates), "templates,", len(done), "renderings,", done.count(None), "refused,",
          len(probes), "probes")


main()
