"""Commands, and what docker 28 tells of them in ``events``: without times, ids and the names of images."""

STORIES = {
    "life": (
        """
network create story
run --name told -v kept:/x -v /own --network story IMAGE true
start told
wait told
run -d --name busy --network story IMAGE sleep 60
restart -t 0 busy
rm -f busy
rm -v told
volume rm kept
network rm story
""",
        """
network create ID (name=story, type=bridge)
volume create kept (driver=local)
volume create ID (driver=local)
container create ID (image=minirt/base, name=told)
container attach ID (image=minirt/base, name=told)
volume mount kept (container=ID, destination=/x, driver=local, propagation=, read/write=true)
volume mount ID (container=ID, destination=/own, driver=local, propagation=, read/write=true)
network connect ID (container=ID, name=story, type=bridge)
container start ID (image=minirt/base, name=told)
network disconnect ID (container=ID, name=story, type=bridge)
volume unmount kept (container=ID, driver=local)
volume unmount ID (container=ID, driver=local)
container die ID (execDuration=0, exitCode=0, image=minirt/base, name=told)
volume mount kept (container=ID, destination=/x, driver=local, propagation=, read/write=true)
volume mount ID (container=ID, destination=/own, driver=local, propagation=, read/write=true)
network connect ID (container=ID, name=story, type=bridge)
container start ID (image=minirt/base, name=told)
network disconnect ID (container=ID, name=story, type=bridge)
volume unmount kept (container=ID, driver=local)
volume unmount ID (container=ID, driver=local)
container die ID (execDuration=0, exitCode=0, image=minirt/base, name=told)
container create ID (image=minirt/base, name=busy)
network connect ID (container=ID, name=story, type=bridge)
container start ID (image=minirt/base, name=busy)
container kill ID (image=minirt/base, name=busy, signal=15)
container kill ID (image=minirt/base, name=busy, signal=9)
network disconnect ID (container=ID, name=story, type=bridge)
container die ID (execDuration=0, exitCode=137, image=minirt/base, name=busy)
container stop ID (image=minirt/base, name=busy)
network connect ID (container=ID, name=story, type=bridge)
container start ID (image=minirt/base, name=busy)
container restart ID (image=minirt/base, name=busy)
container kill ID (image=minirt/base, name=busy, signal=9)
network disconnect ID (container=ID, name=story, type=bridge)
container die ID (execDuration=0, exitCode=137, image=minirt/base, name=busy)
container destroy ID (image=minirt/base, name=busy)
volume destroy ID (driver=local)
container destroy ID (image=minirt/base, name=told)
volume destroy kept (driver=local)
network destroy ID (name=story, type=bridge)
""",
    ),
    "programs": (
        r"""
run -d --name told -l k=v --network none IMAGE sleep 60
exec told true
exec told sh -c exit\ 3
exec told nosuchprogram
exec -u nosuch told true
exec -w /nowhere told true
cp told:/etc/passwd DIR/passwd
cp told:/etc/nosuch DIR/passwd
cp DIR/passwd told:/x
cp told:/etc -
export -o DIR/export told
update --restart no told
pause told
exec told true
unpause told
rm -f told
""",
        """
container create ID (image=minirt/base, k=v, name=told)
network connect ID (container=ID, name=none, type=null)
container start ID (image=minirt/base, k=v, name=told)
container exec_create: true  ID (execID=ID, image=minirt/base, k=v, name=told)
container exec_start: true  ID (execID=ID, image=minirt/base, k=v, name=told)
container exec_die ID (execID=ID, exitCode=0, image=minirt/base, k=v, name=told)
container exec_create: sh -c exit 3 ID (execID=ID, image=minirt/base, k=v, name=told)
container exec_start: sh -c exit 3 ID (execID=ID, image=minirt/base, k=v, name=told)
container exec_die ID (execID=ID, exitCode=3, image=minirt/base, k=v, name=told)
container exec_create: nosuchprogram  ID (execID=ID, image=minirt/base, k=v, name=told)
container exec_start: nosuchprogram  ID (execID=ID, image=minirt/base, k=v, name=told)
container exec_create: true  ID (execID=ID, image=minirt/base, k=v, name=told)
container exec_start: true  ID (execID=ID, image=minirt/base, k=v, name=told)
container archive-path ID (image=minirt/base, k=v, name=told)
container extract-to-dir ID (image=minirt/base, k=v, name=told)
container archive-path ID (image=minirt/base, k=v, name=told)
container export ID (image=minirt/base, k=v, name=told)
container update ID (image=minirt/base, k=v, name=told)
container pause ID (image=minirt/base, k=v, name=told)
container unpause ID (image=minirt/base, k=v, name=told)
container kill ID (image=minirt/base, k=v, name=told, signal=9)
network disconnect ID (container=ID, name=none, type=null)
container die ID (execDuration=0, exitCode=137, image=minirt/base, k=v, name=told)
container destroy ID (image=minirt/base, k=v, name=told)
""",
    ),
    "images": (
        r"""
tag IMAGE one
tag IMAGE one:two
rmi one:two
build -q -t built DIR
build -q -t built -t built2 DIR
tag built other
rmi other
save -o DIR/save built
rmi built2
rmi built
load -i DIR/save
rmi -f built
create --name kk one
export -o DIR/export kk
import DIR/export imp:1
import -c LABEL\ q=r DIR/export imp:1
import DIR/export
commit -m hello -c LABEL\ z=y kk
commit kk
commit kk cc:1
rm kk
rmi cc:1
rmi imp:1
image prune -f
container prune -f
volume prune -f
network prune -f
tag one three
rmi one three
""",
        """
image tag sha256:ID (name=one:latest)
image tag sha256:ID (name=one:two)
image untag sha256:ID (name=sha256:ID)
image tag sha256:ID (a=b, name=built)
image create sha256:ID (a=b, name=sha256:ID)
image tag sha256:ID (a=b, name=built)
image tag sha256:ID (a=b, name=built2)
image create sha256:ID (a=b, name=sha256:ID)
image tag sha256:ID (a=b, name=other:latest)
image untag sha256:ID (a=b, name=sha256:ID)
image save sha256:ID (a=b, name=sha256:ID)
image untag sha256:ID (a=b, name=sha256:ID)
image untag sha256:ID (a=b, name=sha256:ID)
image delete sha256:ID (name=sha256:ID)
image load sha256:ID (a=b, name=sha256:ID)
image untag sha256:ID (a=b, name=sha256:ID)
image delete sha256:ID (name=sha256:ID)
container create ID (image=one, name=kk)
container export ID (image=one, name=kk)
image tag sha256:ID (name=imp:1)
image import sha256:ID (name=sha256:ID)
image tag sha256:ID (name=imp:1, q=r)
image import sha256:ID (name=sha256:ID, q=r)
image import sha256:ID (name=sha256:ID)
image create sha256:ID (name=sha256:ID, z=y)
container commit ID (comment=hello, image=one, imageID=sha256:ID, imageRef=, name=kk)
image create sha256:ID (name=sha256:ID)
container commit ID (comment=, image=one, imageID=sha256:ID, imageRef=, name=kk)
image create sha256:ID (name=sha256:ID)
image tag sha256:ID (name=cc:1)
container commit ID (comment=, image=one, imageID=sha256:ID, imageRef=cc:1, name=kk)
container destroy ID (image=one, name=kk)
image untag sha256:ID (name=sha256:ID)
image delete sha256:ID (name=sha256:ID)
image untag sha256:ID (name=sha256:ID, q=r)
image delete sha256:ID (name=sha256:ID)
image delete sha256:ID (name=sha256:ID)
image delete sha256:ID (name=sha256:ID)
image delete sha256:ID (name=sha256:ID)
image delete sha256:ID (name=sha256:ID)
image prune  (reclaimed=0)
container prune  (reclaimed=0)
volume prune  (reclaimed=0)
network prune  (reclaimed=0)
image tag sha256:ID (name=three:latest)
image untag sha256:ID (name=sha256:ID)
image untag sha256:ID (name=sha256:ID)
""",
    ),
}
