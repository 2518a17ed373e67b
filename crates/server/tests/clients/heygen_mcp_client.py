"""Lists groups of a running server with the vendor's own client, which checks types strictly.

heygen_mcp_client.py URL KEY NEVER_TRAINED TRAINED WITHOUT_LOOKS
"""

import asyncio
import sys
from importlib.metadata import version

from heygen_mcp.api_client import HeyGenApiClient


async def main(url, key, never_trained, trained, without_looks):
    client = HeyGenApiClient(key)
    client.base_url = f"{url}/v2"
    answer = await client.list_avatar_groups(False)
    assert not answer.error, answer
    groups = answer.avatar_groups
    assert answer.total_count == 3 and len(groups) == 3, answer
    assert [group.id for group in groups] == [without_looks, trained, never_trained], "newest first"
    assert [group.name for group in groups] == ["Cleo", "Bea", "Ada"], groups
    assert [group.num_looks for group in groups] == [0, 1, 1], groups
    assert [group.train_status for group in groups] == ["empty", "ready", "empty"], groups
    for group in groups:
        assert isinstance(group.created_at, int) and group.group_type == "PRIVATE", group
        assert str(group.preview_image).startswith(url), group
    wrong = HeyGenApiClient("wrong")
    wrong.base_url = f"{url}/v2"
    refused = await wrong.list_avatar_groups(False)
    assert refused.error, refused
    print(f"heygen-mcp {version('heygen-mcp')}: {len(groups)} groups")


asyncio.run(main(*sys.argv[1:]))
