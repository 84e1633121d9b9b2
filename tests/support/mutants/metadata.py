"""Changes of collections, the saver, tags and versions."""

from random import Random
from typing import Any

from tests.support.mutants.values import NAMES


def change_collections(meta_graph: Any, chance: Random) -> None:
    collections = meta_graph.collection_def
    nodes = [node.name for node in meta_graph.graph_def.node] or ["none"]
    match chance.randrange(5):
        case 0:
            collections["saved_model_main_op"].node_list.value[:] = [chance.choice((*NAMES, *nodes))]
        case 1:
            collections["legacy_init_op"].node_list.value[:] = chance.choices(nodes, k=2)
        case 2 if collections:
            del collections[chance.choice(sorted(collections))]
        case 3 if collections:
            collections[chance.choice(sorted(collections))].bytes_list.value.append(b"\xff\x00odd")
        case 4:
            asset = meta_graph.asset_file_def.add()
            asset.tensor_info.name = chance.choice((*NAMES, *(f"{name}:0" for name in nodes)))
            asset.filename = chance.choice(("none.txt", "../../etc/passwd", "", "/dev/zero"))


def change_saver(meta_graph: Any, chance: Random) -> None:
    saver = meta_graph.saver_def
    match chance.randrange(4):
        case 0:
            saver.restore_op_name = chance.choice(("", "none", "save/Const"))
        case 1:
            saver.filename_tensor_name = chance.choice((*NAMES, "none:0"))
        case 2:
            saver.version = chance.randint(-1, 5)
        case 3:
            meta_graph.ClearField("saver_def")


def change_metadata(meta_graph: Any, chance: Random) -> None:
    match chance.randrange(4):
        case 0:
            meta_graph.meta_info_def.ClearField("tags")
        case 1:
            meta_graph.meta_info_def.tags.append("gpu")
        case 2:
            versions = meta_graph.graph_def.versions
            versions.producer, versions.min_consumer = chance.choice(((0, 0), (1 << 30, 0), (1, 1 << 30), (5, 3)))
        case 3:
            meta_graph.object_graph_def.nodes.add().children.add(node_id=12345, local_name="none")


def change_meta_graphs(saved_model: Any, chance: Random) -> None:
    match chance.randrange(3):
        case 0:
            del saved_model.meta_graphs[:]
        case 1:
            saved_model.meta_graphs.add().CopyFrom(saved_model.meta_graphs[0])
        case 2:
            saved_model.saved_model_schema_version = chance.choice((0, 2, 1 << 40))
