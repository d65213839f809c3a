"""A worker's end of the pipe: it is told what to do one line at a time, and answers in JSON."""

import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any


def serve(opened: Callable[[dict[str, Any]], AbstractContextManager[Any]]) -> None:
    """Call the methods that are asked for, of what is made of the task, until the pipe closes.

    Answers go where stdout went; whatever a library prints goes to stderr.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)

        def answer(**values: Any) -> None:
            print(json.dumps(values), file=answers, flush=True)

        try:
            with opened(json.loads(sys.argv[1])) as worker:
                answer(ready=True)
                for line in sys.stdin:
                    answer(**getattr(worker, line.strip())())
        except Exception as error:  # told in one line, as each library has its own
            answer(error=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
